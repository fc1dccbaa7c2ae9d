/**
 * The sources of forks: each is open once for all its readers, and closed when the last of them has left.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { makeOpenFiles } from "../../src/storage-filesystem/disk/open-files.ts"
import { makeForkReader } from "../../src/storage-filesystem/log/fork-reader.ts"
import { makeForkSources } from "../../src/storage-filesystem/log/fork-sources.ts"
import { makeLogReader } from "../../src/storage-filesystem/log/log-reader.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { named, settled } from "../support/storage-fixtures.ts"

const origin = (offset: number) => ({ stream: named("source"), id: "one", offset, bytes: 0 })

/** Sources on a disk whose open takes a while; the source's tail is the value of `log.tail` at that moment. */
const sourcesOn = (log: { tail: number; id: string }) => {
  const disk = FaultDisk.holding({ "/source": Buffer.from("a log") })
  const files = makeOpenFiles(disk, 10)
  const counted = { opens: 0 }
  const sources = makeForkSources(({ id }) =>
    Effect.gen(function*() {
      counted.opens++
      const { tail } = log
      yield* settled
      if (id !== log.id) return undefined
      const file = yield* files.file("/source", yield* disk.open("/source"))
      const reader = makeLogReader(file, named("source"), 0, () => ({ offset: tail, position: 5 }))
      return { reader, first: 0, tail, forkedFrom: undefined, close: file.close }
    })
  )
  return { counted, disk, sources }
}

const found = <A>(value: A | undefined): A => {
  assert.isDefined(value)
  return value as A
}

describe("The sources of forks", () => {
  it.effect("are open once for all their readers, until the last one leaves", () =>
    Effect.gen(function*() {
      const { counted, disk, sources } = sourcesOn({ tail: 3, id: "one" })
      const first = found(yield* sources.hold(origin(3)))
      const second = found(yield* sources.hold(origin(2)))
      assert.strictEqual(second.reader, first.reader)
      assert.strictEqual(counted.opens, 1)
      yield* first.release
      assert.strictEqual(disk.opened, 1)
      yield* second.release
      assert.strictEqual(disk.opened, 0)
      yield* found(yield* sources.hold(origin(1))).release
      assert.strictEqual(counted.opens, 2)
      assert.strictEqual(disk.opened, 0)
    }))

  it.effect("are opened once for two readers who come at once", () =>
    Effect.gen(function*() {
      const { disk, sources } = sourcesOn({ tail: 3, id: "one" })
      const both = yield* Effect.all([sources.hold(origin(1)), sources.hold(origin(3))], { concurrency: 2 })
      assert.strictEqual(found(both[0]).reader, found(both[1]).reader)
      assert.strictEqual(disk.opened, 1)
      yield* Effect.forEach(both, (source) => found(source).release)
      assert.strictEqual(disk.opened, 0)
    }))

  it.effect("are opened anew for a fork of later events, and the old ones stay open for their holders", () =>
    Effect.gen(function*() {
      const log = { tail: 3, id: "one" }
      const { disk, sources } = sourcesOn(log)
      const before = found(yield* sources.hold(origin(3)))
      log.tail = 8
      const after = found(yield* sources.hold(origin(5)))
      assert.strictEqual(after.tail, 8)
      assert.strictEqual(disk.opened, 2)
      yield* before.release
      assert.strictEqual(found(yield* sources.hold(origin(2))).reader, after.reader)
      yield* after.release
      assert.strictEqual(disk.opened, 1)
      yield* after.release
      assert.strictEqual(disk.opened, 0)
    }))

  it.effect("that were hidden under another name are opened anew", () =>
    Effect.gen(function*() {
      const { counted, disk, sources } = sourcesOn({ tail: 3, id: "one" })
      const before = found(yield* sources.hold(origin(3)))
      before.forget()
      const after = found(yield* sources.hold(origin(3)))
      assert.strictEqual(counted.opens, 2)
      yield* before.release
      assert.strictEqual(found(yield* sources.hold(origin(3))).reader, after.reader)
      yield* Effect.all([after.release, after.release])
      assert.strictEqual(disk.opened, 0)
    }))

  it.effect("are closed, too, if a read opens them while its fork closes", () =>
    Effect.gen(function*() {
      const { counted, disk, sources } = sourcesOn({ tail: 3, id: "one" })
      const fork = makeForkReader(named("fork"), origin(3), sources)
      const reading = yield* Effect.forkChild(Effect.exit(fork.read(0, 1)), { startImmediately: true })
      assert.strictEqual(counted.opens, 1)
      yield* fork.close
      assert.strictEqual((yield* Fiber.join(reading))._tag, "Failure")
      assert.strictEqual(disk.opened, 0)
      assert.strictEqual((yield* Effect.exit(fork.read(0, 1)))._tag, "Failure")
      assert.strictEqual(counted.opens, 1)
    }))

  it.effect("are checked at each opening: another stream with the source's name is not taken for it", () =>
    Effect.gen(function*() {
      const { counted, disk, sources } = sourcesOn({ tail: 3, id: "another" })
      assert.isUndefined(yield* sources.hold(origin(3)))
      assert.isUndefined(yield* sources.hold(origin(3)))
      assert.strictEqual(counted.opens, 2)
      assert.strictEqual(disk.opened, 0)
    }))
})
