import { browserProject } from "./project.ts";

export default browserProject(false);
