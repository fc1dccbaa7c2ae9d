/** The conformance suite against a server that keeps everything in memory. */
import { conformance } from "./conformance.ts"

conformance("memory")
