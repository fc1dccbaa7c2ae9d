/**
 * Our server embedded in a program, with or without a before hook that checks every event: `node embedded-server.ts
 * --data-dir=<directory> [--hook]`. It prints its address on stderr.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"
import { parseArgs } from "node:util"
import { Server } from "../../src/durable-streams/server.ts"
import type { BeforeAppendHook } from "../../src/hooks/hooks.ts"
import { HookError } from "../../src/hooks/hooks.ts"
import { PlainFactory, StreamFactory } from "../../src/hooks/stream-factory.ts"

const { values } = parseArgs({
  options: {
    "data-dir": { type: "string", default: ".iterate" },
    "hook": { type: "boolean", default: false }
  }
})

/** The hook completes at once, but only when it is run: of all hooks that do not suspend, this kind costs most. */
const hasType: BeforeAppendHook = {
  id: "has-type",
  run: ({ data }) =>
    Effect.suspend(() =>
      typeof data === "object" && data !== null && "type" in data
        ? Effect.void
        : Effect.fail(new HookError({ hookId: "has-type", message: "Data must have a type" }))
    )
}

const factory = values.hook ? StreamFactory.layerWith({ beforeAppend: [hasType] }) : PlainFactory
const server = Server.layer({ port: 0, dataDirectory: values["data-dir"] }, factory)

const run = Effect.gen(function*() {
  const { host, port } = yield* Server
  process.stderr.write(`http://${host}:${port}\n`)
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.provide(run, server))
