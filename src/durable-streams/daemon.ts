/**
 * The server as another process: it is found, started when it is not there, and stopped.
 */
export { find, type Found } from "./daemon/find-server.ts"
export { findOrStart } from "./daemon/start-server.ts"
export { stop } from "./daemon/stop-server.ts"
