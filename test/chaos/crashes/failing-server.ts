/**
 * The program's server on a storage that kills the process at the place that `FAILPOINT` names (failing-storage.ts). It
 * takes the arguments of the program: `server run --port=… --data-dir=…`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { flushCompileCache } from "node:module"
import { parseArgs } from "node:util"
import { Server } from "../../../src/durable-streams/server.ts"
import { layerReadable } from "../../../src/durable-streams/server/logging.ts"
import { run } from "../../../src/durable-streams/server/run-server.ts"
import { makeFailingStorage } from "./failing-storage.ts"

const { values } = parseArgs({
  options: { port: { type: "string" }, "data-dir": { type: "string" } },
  allowPositionals: true
})
const settings = { port: Number(values.port), dataDirectory: values["data-dir"]! }
const failpoint = process.env["FAILPOINT"] ?? ""
const storage = makeFailingStorage(failpoint)
if (storage === undefined) {
  process.stderr.write(`FAILPOINT names no failpoint: ${failpoint}.\n`)
  process.exit(1)
}

// Flush it now: a killed process writes nothing.
flushCompileCache()
NodeRuntime.runMain(
  Effect.andThen(run(settings, Server.layer(settings, undefined, { makeStorage: storage })), Effect.never).pipe(
    Effect.scoped,
    Effect.provide(layerReadable)
  )
)
