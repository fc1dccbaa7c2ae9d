/**
 * The descriptors of logs: no more than the limit, none closed while it is used, none lost.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Disk } from "../../src/storage-filesystem/disk/disk.ts"
import { makeOpenFiles } from "../../src/storage-filesystem/disk/open-files.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { storageOn } from "../support/log-fixtures.ts"
import { commitOf, described, readUpTo, settled, shown } from "../support/storage-fixtures.ts"

const paths = ["/a", "/b", "/c", "/d"]

/** Files on a disk whose open takes a while and goes on when its caller stops waiting, as on the real disk. */
const filesOn = Effect.fnUntraced(function*(openMax: number) {
  const disk = FaultDisk.holding(Object.fromEntries(paths.map((path) => [path, Buffer.from(path)])))
  const slow: Disk = { ...disk, open: (path) => Effect.uninterruptible(Effect.tap(disk.open(path), () => settled)) }
  const openFiles = makeOpenFiles(slow, openMax)
  const files = yield* Effect.forEach(
    paths,
    (path) => Effect.flatMap(disk.open(path), (opened) => openFiles.file(path, opened))
  )
  return { disk, files }
})

describe("Open files", () => {
  it.effect("are more than the limit only while more are in use at once", () =>
    Effect.gen(function*() {
      const { disk, files } = yield* filesOn(2)
      const sizes = yield* Effect.forEach(
        files,
        (file) => file.use((opened) => Effect.tap(opened.size, () => Effect.andThen(settled, settled))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(sizes, [2, 2, 2, 2])
      yield* settled
      assert.strictEqual(disk.opened, 2)
    }))

  it.effect("are given back by callers who stop waiting for them", () =>
    Effect.gen(function*() {
      const { disk, files } = yield* filesOn(1)
      for (const file of [...files, ...files]) {
        const reader = yield* Effect.forkChild(file.use(() => Effect.void), { startImmediately: true })
        assert.isUndefined(reader.pollUnsafe(), "it does not wait for the file")
        yield* Fiber.interrupt(reader)
        yield* settled
        assert.isAtMost(disk.opened, 1)
      }
      yield* Effect.forEach(files, (file) => file.release)
      yield* settled
      assert.strictEqual(disk.opened, 0)
    }))

  it.effect("are opened once for two callers at once, even if one of them stops waiting", () =>
    Effect.gen(function*() {
      const { disk, files } = yield* filesOn(1)
      const [file] = files as [(typeof files)[0]]
      const [first, second] = [
        yield* Effect.forkChild(file.use(({ size }) => size), { startImmediately: true }),
        yield* Effect.forkChild(file.use(({ size }) => size), { startImmediately: true })
      ]
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* Fiber.join(second), 2)
      yield* file.release
      yield* settled
      assert.strictEqual(disk.opened, 0)
    }))

  it.effect("are no limit to commits at once: more logs than may be open get commits at the same time", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const storage = yield* storageOn(disk, { openFilesMax: 2 })
      const names = ["a", "b", "c", "d"]
      const logs = yield* Effect.forEach(names, (name) => storage.create(described(name), commitOf(name, 0, ["0"])))
      disk.before = (call) => call === "flush" || call === "open" ? settled : Effect.void
      yield* Effect.forEach(logs, (log, i) => log.commit(commitOf(names[i]!, 1, ["1"])), {
        concurrency: "unbounded"
      })
      for (const [i, log] of logs.entries()) {
        assert.deepStrictEqual(yield* readUpTo(log, 2), [shown(names[i]!, 0, "0"), shown(names[i]!, 1, "1")])
      }
      yield* settled
      assert.isAtMost(disk.opened, 2 + 2, "besides the journal's two")
    }).pipe(Effect.scoped))
})
