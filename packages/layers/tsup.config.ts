import { library } from "../../tsup.base.ts";

export default library(["src/index.ts", "src/models/index.ts", "src/algebra/index.ts", "src/node.ts"]);
