/**
 * The storage in memory, whose commits the test holds: each waits until the test lets it succeed or fail.
 */
import { Effect, Exit, Layer } from "effect"
import { StorageFailed, type StorageFull, type StreamNotFound } from "../../src/domain/errors.ts"
import { layerMemory } from "../../src/storage/storage-memory.ts"
import type { Commit, Log } from "../../src/storage/storage.ts"
import { Storage } from "../../src/storage/storage.ts"
import { makeDurableStream } from "../../src/stream/stream.ts"
import { appending, named, settled } from "./storage-fixtures.ts"

type CommitError = StorageFailed | StorageFull | StreamNotFound

interface Held {
  readonly commit: Commit
  readonly finish: (exit: Exit.Exit<void, CommitError>) => void
}

export class HeldStorage {
  /** Commits that were begun, those of `create` included. */
  readonly begun: Array<Commit> = []
  /** Whether commits wait; those that were begun before go on waiting. */
  holding = false
  /** Whether a read finds the events of a commit that still waits, as on a disk that was written but not flushed. */
  early = false
  /** Removes a log as if by hand. */
  takeAway: (name: string) => Effect.Effect<void> = () => Effect.die(new Error("There is no storage yet."))
  readonly #held: Array<Held> = []

  /** Commits that wait. */
  get waiting(): number {
    return this.#held.length
  }

  /** Lets the waiting commit succeed, and runs all that follows from it. */
  readonly succeed = Effect.suspend(() => this.#finish(Exit.void))

  readonly fail = (error: CommitError = new StorageFailed({ message: "the disk failed" })) =>
    Effect.suspend(() => this.#finish(Exit.fail(error)))

  readonly layer: Layer.Layer<Storage> = Layer.effect(
    Storage,
    Effect.gen({ self: this }, function*() {
      const memory = yield* Storage
      this.takeAway = (name) => Effect.orDie(memory.delete(named(name)))
      const holdingLog = (log: Log): Log => ({
        ...log,
        commit: (commit) =>
          Effect.suspend(() =>
            this.early
              ? Effect.andThen(log.commit(commit), this.#hold(commit))
              : Effect.andThen(this.#hold(commit), log.commit(commit))
          )
      })
      return Storage.of({
        ...memory,
        open: (name) => Effect.map(memory.open(name), holdingLog),
        create: (description, first) =>
          this.#hold(first).pipe(
            Effect.catchTag("StreamNotFound", Effect.die),
            Effect.andThen(memory.create(description, first)),
            Effect.map(holdingLog)
          )
      })
    })
  ).pipe(Layer.provide(layerMemory))

  #hold(commit: Commit): Effect.Effect<void, CommitError> {
    return Effect.callback<void, CommitError>((resume) => {
      this.begun.push(commit)
      if (!this.holding) return resume(Effect.void)
      this.#held.push({ commit, finish: resume })
    })
  }

  #finish(exit: Exit.Exit<void, CommitError>) {
    const held = this.#held.shift()
    if (held === undefined) return Effect.die(new Error("No commit waits."))
    held.finish(exit)
    return settled
  }
}

/** A stream with one event on a storage whose commits the test holds. */
export const heldStream = Effect.fnUntraced(function*(name: string) {
  const storage = new HeldStorage()
  const stream = yield* Effect.provide(makeDurableStream(named(name)), storage.layer)
  yield* stream.append(appending("made"))
  storage.begun.length = 0
  storage.holding = true
  return { storage, stream }
})
