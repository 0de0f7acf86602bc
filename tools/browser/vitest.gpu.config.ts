import { gpuProject } from "./project.ts";

export default gpuProject();
