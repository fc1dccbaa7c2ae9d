/**
 * The code of `verify` and `doctor`, imported in one piece: imported apart, the modules that both need would become files
 * that every command reads, and the build refuses that (test/house/rolldown.config.ts).
 */
export { examine } from "./doctor.ts"
export { verifyData } from "./verify-data.ts"
