/**
 * Logs that vanish while they are used, by deletion or by hand: each user is told what became of the stream, and
 * nothing that depends on the log is kept for ever (promise 10).
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { PlainFactory } from "../../src/hooks/stream-factory.ts"
import { layerStreamLimit, StreamCount } from "../../src/manager/stream-limit.ts"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { hiddenSuffix } from "../../src/storage-filesystem/format/file-names.ts"
import { Storage } from "../../src/storage/storage.ts"
import { makeDurableStream } from "../../src/stream/stream.ts"
import { choosing, FaultDisk } from "../simulation/fault-disk.ts"
import { pathOf, storageOn } from "../support/log-fixtures.ts"
import { appending, historyOf, named, settled, turn } from "../support/storage-fixtures.ts"

const name = named("orders")

/** Longer than a log believes that its file still exists. */
const aWhile = TestClock.adjust("1 second")

const served = <A, E>(
  disk: FaultDisk,
  talk: Effect.Effect<A, E, StreamManager | StreamCount | Scope.Scope>,
  openFilesMax?: number
) =>
  Effect.gen(function*() {
    const storage = yield* storageOn(disk, openFilesMax === undefined ? {} : { openFilesMax })
    const layer = StreamManager.layer.pipe(
      Layer.provide(PlainFactory),
      Layer.provideMerge(layerStreamLimit),
      Layer.provide(Layer.succeed(Storage, storage))
    )
    return yield* Effect.scoped(Effect.provide(talk, layer))
  }).pipe(Effect.scoped)

/** The changes of streams, in words. */
const heard = Effect.gen(function*() {
  const manager = yield* StreamManager
  const told: Array<string> = []
  const tell = (what: string) => ({ name }: { readonly name: string }) => void told.push(`${what} ${name}`)
  yield* manager.observe("", { created: tell("made"), deleted: tell("deleted"), forgotten: tell("forgot") })
  return told
})

describe("A log that is deleted under its readers", () => {
  for (const seed of [1, 2, 3]) {
    it.effect(
      `Promise 10: tells each of them that the stream was deleted, and nothing else (seed ${seed})`,
      () =>
        Effect.gen(function*() {
          const choose = choosing(seed)
          const disk = new FaultDisk()
          const pause = Effect.suspend(() => Effect.repeat(turn, { times: choose(4) }))
          const ends: Record<string, number> = {}
          yield* served(
            disk,
            Effect.gen(function*() {
              const manager = yield* StreamManager
              const names = Array.from({ length: 6 }, (_, i) => named(`stream ${i}`))
              // More than the memory keeps, in several commits.
              const events = Array.from({ length: 20 }, (_, i) => `${i} ${"x".repeat(1_000)}`)
              const commits = 10
              for (const name of names) {
                yield* Effect.repeat(manager.append(name, appending(...events)), { times: commits - 1 })
              }
              disk.before = () => pause
              const read = (name: typeof names[0]) =>
                Effect.gen(function*() {
                  const stream = yield* manager.get(name)
                  let cursor = yield* stream.cursor("beginning")
                  while (true) {
                    const block = yield* stream.read(cursor, 2_000)
                    const next = block.first + block.count
                    cursor = { ...cursor, next: next >= events.length * commits / 2 ? 0 : next }
                    yield* pause
                  }
                }).pipe(
                  Effect.scoped,
                  Effect.catch((error) => Effect.sync(() => void (ends[error._tag] = (ends[error._tag] ?? 0) + 1)))
                )
              const readers = yield* Effect.forEach(
                names.flatMap((name) => [name, name, name]),
                (name) => Effect.forkChild(read(name), { startImmediately: true })
              )
              yield* Effect.forEach(names, (name) =>
                Effect.andThen(
                  Effect.repeat(pause, { times: choose(30) }),
                  Effect.andThen(manager.delete(name), manager.append(name, appending(...events)))
                ), { concurrency: "unbounded" })
              yield* Fiber.awaitAll(readers)
            }),
            2
          )
          yield* settled
          assert.deepStrictEqual(ends, { StreamDeleted: 18 })
          assert.isAtMost(disk.opened, 2, "what nobody will use again is not kept open")
        }),
      30_000
    )
  }
})

describe("A log whose file was removed by hand", () => {
  it.effect("is reported to all lists and counts, and its name can be used again", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* served(
        disk,
        Effect.gen(function*() {
          const manager = yield* StreamManager
          const { current } = yield* StreamCount
          const told = yield* heard
          yield* manager.append(name, appending(0))
          yield* Effect.orDie(disk.remove(pathOf(name)))
          yield* aWhile
          const error = yield* Effect.flip(manager.append(name, appending(1)))
          assert.match(error.message, /was removed while the server was using it; its events are gone\./)
          assert.deepStrictEqual(told, ["made orders", "deleted orders", "forgot orders"])
          assert.strictEqual(current(), 0)
          assert.strictEqual((yield* manager.append(name, appending(2))).events.first, 0)
          assert.strictEqual(current(), 1)
        })
      )
    }))

  it.effect("frees the deleted source that was kept only for it", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* served(
        disk,
        Effect.gen(function*() {
          const manager = yield* StreamManager
          const fork = named("fork")
          yield* manager.append(name, appending(0))
          yield* manager.create(fork, {
            contentType: undefined,
            data: [],
            fork: { source: name, offset: undefined, subOffset: 0 }
          })
          yield* manager.delete(name)
          assert.hasAnyKeys(disk.files, [pathOf(name) + hiddenSuffix])
          yield* Effect.orDie(disk.remove(pathOf(fork)))
          yield* aWhile
          yield* Effect.flip(manager.append(fork, appending(1)))
          yield* settled
          assert.doesNotHaveAnyKeys(disk.files, [pathOf(name) + hiddenSuffix])
        })
      )
    }))

  it.effect("and put back is the same stream again: the next append goes after its events", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* served(
        disk,
        Effect.gen(function*() {
          const manager = yield* StreamManager
          yield* manager.append(name, appending("kept"))
          // A follower keeps the stream awake.
          const stream = yield* manager.get(name)
          const copy = disk.files[pathOf(name)]!
          yield* Effect.orDie(disk.remove(pathOf(name)))
          yield* aWhile
          yield* Effect.flip(manager.append(name, appending("lost")))
          assert.strictEqual((yield* Effect.flip(stream.info))._tag, "StreamNotFound")
          const file = yield* Effect.orDie(disk.create(pathOf(name)))
          yield* Effect.orDie(file.write(copy, 0))
          yield* file.close
          assert.strictEqual((yield* manager.append(name, appending("behind"))).events.first, 1)
          assert.strictEqual((yield* historyOf(stream)).length, 2)
        })
      )
    }))

  it.effect("and replaced by a copy with fewer events ends the life that its readers know", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* served(
        disk,
        Effect.gen(function*() {
          const manager = yield* StreamManager
          yield* manager.append(name, appending(0))
          const copy = disk.files[pathOf(name)]!
          yield* manager.append(name, appending(1))
          const stream = yield* manager.get(name)
          const follower = yield* Effect.forkChild(Effect.flip(stream.next(yield* stream.cursor("now"))))
          yield* Effect.orDie(disk.remove(pathOf(name)))
          const file = yield* Effect.orDie(disk.create(pathOf(name)))
          yield* Effect.orDie(file.write(copy, 0))
          yield* file.close
          yield* aWhile
          assert.match((yield* Effect.flip(manager.append(name, appending("lost")))).message, /was replaced while/)
          assert.strictEqual((yield* Fiber.join(follower))._tag, "StreamDeleted")
          assert.strictEqual((yield* manager.append(name, appending(1))).events.first, 1)
        })
      )
    }))
})

describe("A log that is being opened", () => {
  it.effect("is closed again if no caller wants the stream any more", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* served(disk, Effect.flatMap(StreamManager, (manager) => manager.append(name, appending(0))))
      const storage = yield* storageOn(disk)
      const before = disk.opened
      const scope = yield* Scope.make()
      disk.before = (call) => call === "open" ? settled : Effect.void
      const waking = yield* Effect.forkChild(
        Effect.exit(
          makeDurableStream(name).pipe(
            Effect.provideService(Storage, storage),
            Effect.provideService(Scope.Scope, scope)
          )
        ),
        { startImmediately: true }
      )
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(waking)
      yield* settled
      assert.strictEqual(disk.opened, before)
    }))
})
