/**
 * A server in this process: it says in its data directory where it is, and notices when that directory is gone.
 */
import { Context, Effect, Layer } from "effect"
import * as fs from "node:fs"
import { DaemonFailed, filesOf } from "../../data-directory/paths.ts"
import { type Place, removePlace, writePlace } from "../daemon/daemon-files.ts"
import { DaemonSecret, makeSecret } from "../daemon/daemon-secret.ts"
import { Server } from "../server.ts"
import type { SettingsAt } from "./settings.ts"

/** A command that has just found this server asks it within milliseconds; the rest is for a busy machine. */
const foundGrace = "100 millis"

/** Runs a server in this process until the scope closes, and says in the data directory where it is. */
export const run = Effect.fnUntraced(function*(
  settings: SettingsAt,
  layer: Layer.Layer<Server, Layer.Error<ReturnType<typeof Server.layer>>> = Server.layer(settings)
) {
  const { dataDirectory } = settings
  const secret = makeSecret()
  const context = yield* Layer.build(Layer.provide(layer, Layer.succeed(DaemonSecret, secret)))
  const server = Context.get(context, Server)
  const place: Place = {
    host: reachedByLoopback.has(server.host) ? undefined : server.host,
    port: server.port,
    pid: process.pid,
    secret
  }
  const write = Effect.try({
    try: () => writePlace(dataDirectory, place),
    catch: (cause) => new DaemonFailed(cause as Error)
  })
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => removePlace(dataDirectory, place)).pipe(
      Effect.ignoreCause,
      Effect.andThen(Effect.sleep(foundGrace))
    )
  )
  yield* Effect.catch(write, ({ message }) =>
    Effect.gen(function*() {
      yield* Effect.logWarning(
        "Other commands will not find this server before there is room for its files in the data directory"
      ).pipe(Effect.annotateLogs({ error: message }))
      yield* tellStarter(place)
      yield* Effect.forkScoped(
        Effect.sleep(lookEvery).pipe(Effect.andThen(write), Effect.eventually, Effect.interruptible)
      )
    }))
  if (process.connected) process.disconnect()
  return server
})

/** Sends the command that started this server the place that it would have read in the files (daemon/server-child.ts). */
const tellStarter = (place: Place): Effect.Effect<void> =>
  process.send === undefined
    ? Effect.void
    : Effect.callback((resume) => void process.send?.(place, undefined, undefined, () => resume(Effect.void)))

/** How often the server looks at its directory: a look takes microseconds. */
const lookEvery = "1 second"

/** After a rename, commands that come to the new path are told; the server ends a minute later. */
const renamedLooksMax = 60

/**
 * Ends when the data directory that this process has locked was removed or replaced, or was renamed a minute ago. A server
 * that went on would write into the directory of another server.
 */
export const awaitDirectoryGone = (dataDirectory: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { lock } = filesOf(dataDirectory)
    const inode = inodeOf(lock)
    // Not the lock itself: closing a second descriptor of it would give the lock up.
    const directory = fs.openSync(dataDirectory, "r")
    yield* Effect.addFinalizer(() => Effect.sync(() => fs.closeSync(directory)))
    let missed = 0
    yield* Effect.sleep(lookEvery).pipe(
      Effect.andThen(Effect.sync(() => {
        missed = inodeOf(lock) === inode ? 0 : missed + 1
        const isRenamed = fs.fstatSync(directory).nlink > 0 && inodeOf(dataDirectory) === undefined
        return missed > (isRenamed ? renamedLooksMax : 0)
      })),
      Effect.repeat({ until: (gone) => gone })
    )
  }).pipe(Effect.scoped, Effect.asVoid, Effect.catchCause(() => Effect.never))

const inodeOf = (path: string): bigint | undefined => fs.statSync(path, { bigint: true, throwIfNoEntry: false })?.ino

/** A server that listens on one of these addresses is found at 127.0.0.1. */
const reachedByLoopback = new Set(["127.0.0.1", "0.0.0.0", "::"])
