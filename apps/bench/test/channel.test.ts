import { expect, test } from "vitest";
import { encode, messages, type Message, type Reply } from "../src/channel.ts";

test("messages come out as they went in, however the stream is cut", async () => {
  const times = Float64Array.of(1.5, 2.5);
  const bytes = Buffer.concat([
    encode({ say: "hello", version: "é" }),
    encode({ say: "times" }, [times]),
    encode({ say: "result" }, [new Float32Array(0)]),
  ]);
  for (const size of [1, 7, 1000]) {
    async function* cut() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const received: Message<Reply>[] = [];
    for await (const message of messages<Reply>(cut())) received.push(message);
    expect(received.map((m) => m.header)).toEqual([
      { say: "hello", version: "é" },
      { say: "times" },
      { say: "result" },
    ]);
    expect(new Float64Array(received[1].arrays[0])).toEqual(times);
    expect(received[2].arrays[0].byteLength).toBe(0);
  }
});
