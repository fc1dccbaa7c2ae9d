/** The conformance suite against a server on files. */
import { conformance } from "./conformance.ts"

conformance("fs")
