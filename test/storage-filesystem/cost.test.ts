/**
 * Promise 7: the cost of an append, an opening, a read and a start does not grow with the amount of stored data. The
 * tests count calls and bytes of the disk, not time.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { TestClock } from "effect/testing"
import * as Path from "node:path"
import { fileShares } from "../../src/http-node/file-limit.ts"
import { nodeDisk } from "../../src/storage-filesystem/disk/disk.ts"
import type { Log, Storage } from "../../src/storage/storage.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { pathOf, storageOn } from "../support/log-fixtures.ts"
import { commitOf, described, named, textsOf } from "../support/storage-fixtures.ts"
import { CountingDisk } from "./counting-disk.ts"

const withDirectory = <A, E, R>(use: (directory: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* use(Path.join(yield* fs.makeTempDirectoryScoped({ prefix: "durable-streams-" }), "streams"))
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

/** The length of each event differs from its neighbours', so a guess by proportion is not always right. */
const data = (offset: number) => `{"n":${offset},"text":"${"x".repeat(offset * 7919 % 300)}"}`

/** Makes a log of this many events, in commits of a hundred. */
const fill = Effect.fnUntraced(function*(storage: Storage["Service"], name: string, count: number) {
  const commit = (first: number) => commitOf(name, first, Array.from({ length: 100 }, (_, i) => data(first + i)))
  const log = yield* storage.create(described(name), commit(0))
  for (let first = 100; first < count; first += 100) yield* log.commit(commit(first))
}, Effect.scoped)

const sizes = [["small", 2_000], ["large", 60_000]] as const

describe("Promise 7: a log of 60,000 events asks no more of the disk than a log of 2,000", () => {
  it.live("when it is opened, appended to and read at its end; a search for an offset takes a few small reads", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const disk = new CountingDisk(nodeDisk)
        const building = yield* storageOn(disk, { directory, durability: "os" })
        for (const [name, count] of sizes) yield* fill(building, name, count)
        const storage = yield* storageOn(disk, { directory })

        const measured = yield* Effect.forEach(
          sizes,
          Effect.fnUntraced(function*([name, tail]) {
            disk.reset()
            const log = yield* storage.open(named(name))
            const opening: Record<string, number> = { ...disk.calls, bytes: disk.bytesRead }
            // The log's last commit and no more: an earlier process may have been killed before it flushed that commit.
            assert.isAtMost(disk.bytesWritten, 30_000)
            assert.strictEqual(log.tail, tail)
            assert.isAtMost(disk.bytesRead, 200_000)

            disk.reset()
            for (let i = 0; i < 10; i++) yield* log.commit(commitOf(name, tail + i, [data(i)]))
            const appending: Record<string, number> = {
              ...disk.calls,
              bytes: disk.bytesRead,
              written: disk.bytesWritten
            }
            assert.isAbove(disk.lowestWrite, tail * 100, "something before the end was written")

            disk.reset()
            yield* log.read(tail, 1)
            assert.isAtMost(disk.bytesRead, 200_000)
            yield* seeks(disk, log, tail)
            return { opening, appending }
          })
        )
        // The log that is shorter than the window is read whole: only this number may differ, and only downwards.
        const [small, large] = measured
        assert.deepStrictEqual(large!.appending, small!.appending)
        assert.deepStrictEqual({ ...large!.appending, written: 0 }, { write: 10, flush: 10, bytes: 0, written: 0 })
        assert.deepStrictEqual({ ...large!.opening, bytes: 0 }, { ...small!.opening, bytes: 0 })
        assert.isAtMost(large!.opening["bytes"]!, small!.opening["bytes"]!)
      })
    ))
})

/** Reads from many places; each read makes its own search. */
const seeks = Effect.fnUntraced(function*(disk: CountingDisk, log: Log, tail: number) {
  for (let i = 1; i <= 200; i++) {
    const offset = i * 7_919_993 % tail
    disk.reset()
    const block = yield* log.read(offset, 1)
    assert.include(textsOf(block)[0], `"data":{"n":${offset},`)
    // A binary search needs sixteen halvings; a guess by proportion needs fewer. Then come the line, its commit, and
    // the events.
    assert.isAtMost(disk.calls["read"]!, 16, `reads for offset ${offset} of ${tail}`)
    assert.isAtMost(disk.bytesRead, 400_000, `bytes for offset ${offset} of ${tail}`)
  }
})

describe("Promise 7: a log that is followed from its beginning", () => {
  it.effect("is read once, without a new search for every piece", () =>
    Effect.gen(function*() {
      const disk = new CountingDisk(new FaultDisk())
      const storage = yield* storageOn(disk)
      yield* fill(storage, "followed", 3_000)
      const log = yield* storage.open(named("followed"))
      disk.reset()
      let bytes = 0
      for (let from = 0; from < log.tail;) {
        const block = yield* log.read(from, 64 * 1024)
        bytes += textsOf(block).reduce((sum, text) => sum + text.length, 0)
        from += block.count
      }
      assert.isAtMost(disk.bytesRead, bytes * 2)
      assert.isAtMost(disk.calls["read"]!, 2 * Math.ceil(bytes / (64 * 1024)) + 5)
    }).pipe(Effect.scoped))
})

describe("Promise 7: two thousand sleeping streams", () => {
  it.effect("cost a start one listing of the directory, and a later list only asks for the directory's time", () =>
    Effect.gen(function*() {
      const sleeping = Object.fromEntries(
        Array.from({ length: 2_000 }, (_, i) => [pathOf(`stream/${i}`), Buffer.from("not even looked at")])
      )
      const disk = new CountingDisk(FaultDisk.holding(sleeping))
      const storage = yield* storageOn(disk)
      // An earlier process flushed the logs, so a start only looks for the journal's two areas.
      assert.deepStrictEqual(disk.calls, { makeDirectory: 1, stampOf: 1, list: 1, flushDirectory: 1, open: 2 })
      disk.reset()
      assert.strictEqual((yield* storage.list()).length, 2_000)
      assert.deepStrictEqual(disk.calls, { stampOf: 1 })
    }).pipe(Effect.scoped))

  it.effect("cost a start one listing of the directory, however much the start asks about them", () =>
    Effect.gen(function*() {
      const names = Array.from({ length: 40 }, (_, i) => i % 2 === 0 ? `stream/${i}` : `${i}`.padStart(400, "x"))
      const expiring = names.filter((_, i) => i % 5 === 0)
      const first = new FaultDisk()
      const building = yield* storageOn(first)
      for (const name of names) {
        const ttl = expiring.includes(name) ? { ttlSeconds: 60 } : {}
        yield* Effect.scoped(building.create({ ...described(name), ...ttl }, commitOf(name, 0, ["1"])))
      }
      const disk = new CountingDisk(first)
      const { atStart } = yield* storageOn(disk)
      const there = yield* atStart
      assert.deepStrictEqual([there.listed.toSorted(), there.expiring.toSorted()], [
        names.map(named).toSorted(),
        expiring.map(named).toSorted()
      ])
      assert.strictEqual(disk.calls["list"], 1)
      assert.strictEqual(disk.calls["open"], 20 + 2)
      yield* Effect.forEach([1, 2], () => atStart)
      assert.strictEqual(disk.calls["list"], 1)
    }).pipe(Effect.scoped))

  it.effect("are opened once for the list if their names are too long for a file name", () =>
    Effect.gen(function*() {
      const disk = new CountingDisk(new FaultDisk())
      const names = Array.from({ length: 20 }, (_, i) => `${i}`.padStart(400, "x"))
      const earlier = yield* storageOn(disk)
      for (const name of names) yield* earlier.create(described(name), commitOf(name, 0, ["1"]))
      disk.reset()
      const storage = yield* storageOn(disk)
      assert.deepStrictEqual(disk.calls, {
        makeDirectory: 1,
        stampOf: 1,
        list: 1,
        flushDirectory: 1,
        open: 22,
        read: 20
      })
      disk.reset()
      // The directory is read again only after a second has passed, whatever is in it.
      yield* storage.delete(named(names[0]!))
      assert.deepStrictEqual(yield* storage.list(), names.slice(1).map(named).toSorted())
      assert.isUndefined(disk.calls["list"])
      yield* TestClock.adjust("1 second")
      disk.reset()
      assert.deepStrictEqual(yield* storage.list(), names.slice(1).map(named).toSorted())
      assert.deepStrictEqual(disk.calls, { stampOf: 3, list: 1 })
    }).pipe(Effect.scoped))
})

describe("Promise 7: a thousand streams that are used in turn", () => {
  it.effect("cost as much as one stream: an append opens no file if there are enough descriptors", () =>
    Effect.gen(function*() {
      const disk = new CountingDisk(new FaultDisk())
      const storage = yield* storageOn(disk, { openFilesMax: fileShares(4_096).logs })
      const names = Array.from({ length: 1_000 }, (_, i) => `stream/${i}`)
      const logs = yield* Effect.forEach(names, (name) => storage.create(described(name), commitOf(name, 0, ["0"])))
      disk.reset()
      for (const round of [1, 2]) {
        for (const [i, log] of logs.entries()) yield* log.commit(commitOf(names[i]!, round, [`${round}`]))
      }
      assert.deepStrictEqual(disk.calls, { write: 2_000, flush: 2_000 })
    }).pipe(Effect.scoped))
})
