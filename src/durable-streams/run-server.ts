/**
 * A server in this process, and the files that say where it is.
 */
import { Context, Effect, Layer } from "effect"
import * as fs from "node:fs"
import { Server } from "./server.ts"
import type { ServerSettings } from "./settings.ts"
import { DaemonFailed, filesOf } from "./settings.ts"

/** How long a command that found us a moment ago has to come: it asks within milliseconds, with room for a busy machine. */
const foundGrace = "100 millis"

/** Runs a server in this process until the scope closes, and says in the data directory where it is. */
export const run = Effect.fnUntraced(function*(settings: ServerSettings) {
  const context = yield* Layer.build(Server.layer(settings))
  const server = Context.get(context, Server)
  const files = filesOf(settings.dataDirectory)
  yield* Effect.acquireRelease(
    Effect.try({
      try: () => {
        // The pid last: whoever sees it finds the port beside it.
        writeFile(files.port, `${server.port}\n`)
        if (!reachedByLoopback.has(server.host)) writeFile(files.host, `${server.host}\n`)
        writeFile(files.pid, `${process.pid}\n`)
      },
      catch: (cause) =>
        new DaemonFailed({
          message: `Could not write ${files.pid}: ${
            (cause as Error).message
          }. Free some space, or use another --data-dir.`
        })
    }),
    () =>
      Effect.sync(() => {
        fs.rmSync(files.pid, { force: true })
        fs.rmSync(files.port, { force: true })
        fs.rmSync(files.host, { force: true })
      }).pipe(Effect.andThen(Effect.sleep(foundGrace)))
  )
  return server
})

/** Addresses at which 127.0.0.1 finds the server. */
const reachedByLoopback = new Set(["127.0.0.1", "0.0.0.0", "::"])

const writeFile = (path: string, text: string) => {
  // Whatever is there (a link, a directory's worth of garbage) is replaced, not followed.
  fs.rmSync(path, { recursive: true, force: true })
  fs.writeFileSync(path, text, { mode: 0o600, flag: "wx" })
}
