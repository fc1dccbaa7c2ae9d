/**
 * A source and its fork, on a server that starts on a disk of the test's choice.
 */
import { Effect, Layer } from "effect"
import { PlainFactory } from "../../src/hooks/stream-factory.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { Storage } from "../../src/storage/storage.ts"
import type { FaultDisk } from "../simulation/fault-disk.ts"
import { storageOn } from "../support/log-fixtures.ts"
import { appending, historyOf, named } from "../support/storage-fixtures.ts"

export const [source, fork] = [named("source"), named("fork")]
export const forking = { contentType: undefined, data: [], fork: { source, offset: undefined, subOffset: 0 } }

/** Runs the program with the manager of a server that starts on this disk. */
export const served = <A, E>(disk: FaultDisk, program: Effect.Effect<A, E, StreamManager>) =>
  Effect.flatMap(storageOn(disk), (storage) =>
    Effect.provide(
      program,
      StreamManager.layer.pipe(Layer.provide(PlainFactory), Layer.provide(Layer.succeed(Storage, storage))),
      // Each call has a server of its own, even if another one runs.
      { local: true }
    ))

export const makeSource = Effect.flatMap(StreamManager, (manager) => manager.append(source, appending(0, 1)))

export const makeFork = Effect.flatMap(StreamManager, (manager) => manager.create(fork, forking))

export const makeBoth = Effect.gen(function*() {
  yield* makeSource
  yield* makeFork
  yield* (yield* StreamManager).append(fork, appending("own"))
})

/** A stream's data, or the reason why it cannot be read. */
export const stateOf = Effect.fnUntraced(function*(name: typeof source) {
  const manager = yield* StreamManager
  const stream = yield* manager.get(name)
  const info = yield* Effect.result(stream.info)
  if (info._tag === "Failure") return info.failure._tag
  return (yield* historyOf(stream)).map((text) => (JSON.parse(text) as { data: unknown }).data)
}, Effect.scoped)

export const remove = (name: typeof source) => Effect.flatMap(StreamManager, (manager) => manager.delete(name))
