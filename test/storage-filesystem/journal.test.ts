/**
 * The journal (docs/storage-format.md 10): one flush makes commits of many logs durable, and no acknowledged commit is
 * lost, whatever a power cut leaves of the logs, the journal and the directory.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { JournalRecord } from "../../src/storage-filesystem/format/journal-codec.ts"
import { decodeArea, encodeAreaHeader, encodeRound } from "../../src/storage-filesystem/format/journal-codec.ts"
import { encodeCommit, encodeNewLog } from "../../src/storage-filesystem/format/record-codec.ts"
import { replayRecords } from "../../src/storage-filesystem/journal/replay-journal.ts"
import { type Choose, choosing, crashModes, failing, FaultDisk } from "../simulation/fault-disk.ts"
import { pathOf, storageOn } from "../support/log-fixtures.ts"
import { commitOf, described, named, readUpTo } from "../support/storage-fixtures.ts"
import { areas, dataOf, journaling, names, turns, Writing } from "./journal-fixtures.ts"

/** The list of files that are flushed from now on. */
const flushedOn = (disk: FaultDisk) => {
  const flushes: Array<string> = []
  disk.before = (call, path) => Effect.sync(() => void (call === "flush" && flushes.push(path.replace(/\.new$/, ""))))
  return flushes
}

/**
 * Opens each log as the next process does, and compares it with the events that were acknowledged or begun before the
 * power cut.
 */
const holds = Effect.fnUntraced(function*(
  disk: FaultDisk,
  acknowledged: ReadonlyMap<string, number>,
  begun: ReadonlyMap<string, number>,
  hint: string
) {
  const storage = yield* storageOn(disk)
  for (const [name, least] of acknowledged) {
    const log = yield* storage.open(named(name))
    assert.isAtLeast(log.tail, least, `${hint}: ${name} has lost what was acknowledged`)
    assert.isAtMost(log.tail, begun.get(name)!, `${hint}: ${name} has what nobody wrote`)
    const texts = yield* readUpTo(log, log.tail)
    texts.forEach((text, offset) => assert.include(text, `"data":${dataOf(name, offset)},`, `${hint}: ${name}`))
    assert.strictEqual(texts.length, log.tail)
    // The log takes the next append.
    yield* log.commit(commitOf(name, log.tail, [dataOf(name, log.tail)]))
  }
}, Effect.scoped)

const snapshotsOf = (disk: FaultDisk, writing: () => Writing | undefined, choose: Choose, oneIn: number) => {
  const taken: Array<Parameters<typeof holds>> = []
  disk.before = (call, path) =>
    Effect.sync(() => {
      const now = writing()
      if (now === undefined || choose(oneIn) > 0) return
      const mode = crashModes[choose(crashModes.length)]!
      taken.push([
        disk.crash(mode, choose),
        new Map(now.acknowledged),
        new Map(now.begun),
        `${mode} before ${call} ${path}`
      ])
    })
  return taken
}

describe("The journal", () => {
  it.effect("takes one flush for many logs, and their own files are flushed later", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* journaling(yield* storageOn(disk))
      const flushes = flushedOn(disk)
      for (let round = 0; round < 5; round++) yield* writing.commits(names, 2)
      assert.deepStrictEqual(flushes, Array.from({ length: 5 }, () => areas[0]))
      // One or two commits at once need no journal.
      flushes.length = 0
      yield* writing.commits(["a", "b"], 1)
      assert.deepStrictEqual(flushes, [pathOf("a"), pathOf("b")])
    }).pipe(Effect.scoped))

  it.effect("is removed at a clean end, after every file was flushed", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const scope = yield* Scope.make()
      const writing = yield* Effect.gen(function*() {
        const writing = yield* journaling(yield* storageOn(disk))
        for (let round = 0; round < 5; round++) yield* writing.commits(names, 1)
        assert.isDefined(disk.files[areas[0]!])
        return writing
      }).pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.void)
      assert.isUndefined(disk.files[areas[0]!])
      assert.isUndefined(disk.files[areas[1]!])
      assert.strictEqual(disk.opened, 0)
      yield* holds(disk.crash("nothing", () => 0), writing.acknowledged, writing.begun, "after a clean end")
    }))

  it.effect("Promises 2 and 3: loses no acknowledged event, whenever the power goes (400 power cuts)", () =>
    Effect.gen(function*() {
      let cuts = 0
      let journaled = 0
      for (let seed = 1; cuts < 400; seed++) {
        const choose = choosing(seed)
        const disk = new FaultDisk()
        let writing: Writing | undefined
        const taken = snapshotsOf(disk, () => writing, choose, 12)
        yield* Effect.gen(function*() {
          // The areas are small, so they take turns every few rounds.
          const storage = yield* storageOn(disk, { journalBytesMax: 2_000 + choose(6_000) })
          writing = yield* Writing.on(storage)
          for (let round = 0; round < 25; round++) {
            const some = names.filter(() => choose(4) > 0)
            yield* writing.commits(some, 1 + choose(3))
            if (choose(3) === 0) yield* turns
          }
        }).pipe(Effect.scoped)
        disk.before = () => Effect.void
        cuts += taken.length
        journaled += taken.filter(([, , , hint]) => hint.includes("before flush /journal")).length
        for (const [crashed, ...rest] of taken) yield* holds(crashed, ...rest)
      }
      assert.isAtLeast(journaled, 15, "the power hardly ever went while the journal was flushed")
    }))

  it.effect("Promises 2 and 3: loses no acknowledged event when the power goes again while the next process replays it", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 60; seed++) {
        const choose = choosing(seed)
        const disk = new FaultDisk()
        const writing = yield* Effect.gen(function*() {
          const writing = yield* journaling(yield* storageOn(disk))
          for (let round = 0; round < 8; round++) yield* writing.commits(names, 1 + choose(3))
          return writing
        }).pipe(Scope.provide(yield* Scope.make()))
        let next = disk
        for (let again = 0; again < 4; again++) {
          next = next.crash(crashModes[choose(crashModes.length)]!, choose)
          let left = 1 + choose(30)
          const here = next
          here.before = (call, path) => left-- > 0 ? Effect.void : Effect.fail(failing(call, path, "EIO"))
          yield* Effect.ignoreCause(
            Effect.scoped(
              Effect.flatMap(
                storageOn(here),
                (storage) =>
                  Effect.forEach(names, (name) => Effect.ignore(storage.open(named(name))), { concurrency: 3 })
              )
            )
          )
          here.before = () => Effect.void
        }
        yield* holds(next.crash("nothing", choose), writing.acknowledged, writing.begun, `seed ${seed}`)
      }
    }))

  it.effect("Promise 2: that cannot be flushed makes each log flush its own file, and begins anew later", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* journaling(yield* storageOn(disk))
      for (let round = 0; round < 3; round++) yield* writing.commits(names, 1)
      let failures = 0
      disk.before = (call, path) =>
        call === "flush" && areas.includes(path)
          ? Effect.suspend(() => {
            failures++
            return Effect.fail(failing(call, path, "EIO"))
          })
          : Effect.void
      for (let round = 0; round < 3; round++) {
        for (const exit of yield* writing.commits(names, 1)) assert.isTrue(Exit.isSuccess(exit))
      }
      assert.strictEqual(failures, 1, "a flush that failed is not tried again")
      for (const mode of crashModes) {
        yield* holds(disk.crash(mode, choosing(7)), writing.acknowledged, writing.begun, mode)
      }
      disk.before = () => Effect.void
      yield* TestClock.adjust("2 seconds")
      for (let round = 0; round < 3; round++) {
        yield* writing.commits(names, 1)
        yield* turns
      }
      const flushes = flushedOn(disk)
      yield* writing.commits(names, 1)
      assert.deepStrictEqual(flushes, [areas[0]])
      disk.before = () => Effect.void
      yield* holds(disk.crash("nothing", () => 0), writing.acknowledged, writing.begun, "after it began anew")
    }).pipe(Effect.scoped))

  it.effect("Promise 2: replays its commits into a log's file that loses them", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 40; seed++) {
        const choose = choosing(seed)
        const disk = new FaultDisk()
        yield* Effect.gen(function*() {
          const writing = yield* Writing.on(yield* storageOn(disk, { journalBytesMax: 3_000 }))
          for (let round = 0; round < 4; round++) yield* writing.commits(names, 1)
          for (let round = 0; round < 12; round++) {
            // After a flush of a file fails, no later flush writes the pages that it should have written.
            disk.flushesUntilFailure = choose(8)
            yield* writing.commits(names.filter(() => choose(3) > 0).slice(0, 1 + choose(6)), 1)
            disk.flushesUntilFailure = Infinity
            if (choose(4) === 0) yield* TestClock.adjust("2 seconds")
            yield* turns
            const mode = crashModes[choose(crashModes.length)]!
            yield* holds(
              disk.crash(mode, choose),
              writing.acknowledged,
              writing.begun,
              `seed ${seed}, round ${round}, ${mode}`
            )
          }
        }).pipe(Effect.scoped)
      }
    }))

  it.effect("replays no commit of a deleted log, not even into a new log with its name", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* Effect.gen(function*() {
        const storage = yield* storageOn(disk)
        const writing = yield* journaling(storage)
        for (let round = 0; round < 2; round++) yield* writing.commits(names, 1)
        yield* storage.delete(named("a"))
        yield* storage.delete(named("b"))
        yield* storage.create({ ...described("b"), id: "another" }, commitOf("b", 0, [`"new"`]))
        yield* storage.hide(named("c"))
      }).pipe(Scope.provide(yield* Scope.make()))
      const next = yield* storageOn(disk.crash("everything", () => 0))
      assert.deepStrictEqual(yield* next.list(), ["b", "d", "e", "f"].map(named))
      const log = yield* next.open(named("b"))
      assert.strictEqual(log.tail, 1)
      const hidden = yield* (yield* storageOn(disk.crash("nothing", () => 0))).open(named("c"))
      assert.isTrue(hidden.hidden)
      assert.strictEqual(hidden.tail, 4)
    }).pipe(Effect.scoped))

  it.effect("replays nothing into a log that was made anew and is longer than the old one", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* Effect.gen(function*() {
        const storage = yield* storageOn(disk)
        const writing = yield* journaling(storage)
        for (let round = 0; round < 3; round++) yield* writing.commits(names, 1)
        yield* storage.delete(named("b"))
        const log = yield* storage.create({ ...described("b"), id: "another" }, commitOf("b", 0, [`"new"`]))
        for (let offset = 1; offset < 30; offset++) yield* log.commit(commitOf("b", offset, [`"new ${offset}"`]))
      }).pipe(Scope.provide(yield* Scope.make()))
      const log = yield* (yield* storageOn(disk.crash("everything", () => 0))).open(named("b"))
      const texts = yield* readUpTo(log, log.tail)
      assert.strictEqual(texts.length, 30)
      texts.slice(1).forEach((text, i) => assert.include(text, `"new ${i + 1}"`))
    }).pipe(Effect.scoped))

  // The second number is more of the other commit than is read at first.
  it.effect.each([10, 70_000])(
    "replays no refused commit over another commit of %i bytes in its place",
    (length) =>
      Effect.gen(function*() {
        const disk = new FaultDisk()
        const writing = yield* journaling(yield* storageOn(disk))
        yield* writing.commits(names, 1)
        const refusing = [areas[0]!, pathOf("a"), `${pathOf("a")}.new`]
        disk.before = (call, path) =>
          call === "flush" && refusing.includes(path) ? Effect.fail(failing(call, path, "EIO")) : Effect.void
        const [exit] = yield* writing.commits(names, 1)
        assert.isTrue(Exit.isFailure(exit!))
        disk.before = () => Effect.void
        const first = writing.acknowledged.get("a")!
        yield* writing.logs.get("a")!.commit(commitOf("a", first, [`"another${"x".repeat(length)}"`]))
        // The refused commit reached the journal on the medium all the same.
        const log = yield* (yield* storageOn(disk.crash("everything", () => 0))).open(named("a"))
        assert.strictEqual(log.tail, first + 1)
        assert.include((yield* readUpTo(log, log.tail)).at(-1), `"another`)
      }).pipe(Effect.scoped)
  )

  it.effect("keeps the commits of a hidden log, even when the log's descriptor was given to other logs", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      yield* Effect.gen(function*() {
        const storage = yield* storageOn(disk, { openFilesMax: 1, journalBytesMax: 3_000 })
        const writing = yield* journaling(storage)
        yield* writing.commits(names, 1)
        yield* storage.hide(named("c"))
        const others = names.filter((name) => name !== "c")
        for (let round = 0; round < 20; round++) {
          yield* writing.commits(others, 1)
          yield* turns
        }
        const hidden = yield* (yield* storageOn(disk.crash("nothing", () => 0))).open(named("c"))
        assert.strictEqual(hidden.tail, writing.acknowledged.get("c"))
      }).pipe(Effect.scoped)
    }))

  it.effect("is removed only after the commits that it replayed are on the medium", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* journaling(yield* storageOn(disk))
      for (let round = 0; round < 4; round++) yield* writing.commits(names, 2)
      const crashed = disk.crash("nothing", () => 0)
      yield* Effect.scoped(Effect.andThen(storageOn(crashed), turns))
      assert.isUndefined(crashed.files[areas[0]!])
      yield* holds(crashed.crash("nothing", () => 0), writing.acknowledged, writing.begun, "after it was gone")
    }).pipe(Effect.scoped))

  it.effect("is not overwritten before all its commits are safe in their logs", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* journaling(yield* storageOn(disk))
      for (let round = 0; round < 4; round++) yield* writing.commits(names, 2)
      const crashed = disk.crash("nothing", () => 0)
      // Only these logs can be opened: the commits of the other logs cannot be replayed yet.
      const busy = names.slice(0, 3)
      crashed.before = (call, path) =>
        call === "open" && /[d-f]\.json/.test(path) ? Effect.fail(failing(call, path, "EMFILE")) : Effect.void
      yield* Effect.gen(function*() {
        const storage = yield* storageOn(crashed)
        for (const name of busy) writing.logs.set(name, yield* storage.open(named(name)))
        for (let round = 0; round < 6; round++) {
          yield* writing.commits(busy, 1)
          yield* turns
        }
      }).pipe(Effect.scoped)
      crashed.before = () => Effect.void
      yield* holds(crashed.crash("nothing", () => 0), writing.acknowledged, writing.begun, "three were written to")
    }).pipe(Effect.scoped))

  it.effect("Promise 2: keeps the commits that a log's file failed to flush when its turn came", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* journaling(yield* storageOn(disk, { journalBytesMax: 3_000 }))
      for (let round = 0; round < 40; round++) {
        yield* writing.commits(names, 1)
        // The pages of one file are lost while commits go to the other area.
        disk.flushesUntilFailure = round % 7
        yield* turns
        disk.flushesUntilFailure = Infinity
        if (round % 5 === 0) yield* TestClock.adjust("2 seconds")
        yield* holds(disk.crash("nothing", () => 0), writing.acknowledged, writing.begun, `round ${round}`)
      }
    }).pipe(Effect.scoped))

  it.effect("takes one round at a time: a commit that comes during a flush waits for the next", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* journaling(yield* storageOn(disk))
      disk.before = (call, path) => call === "flush" && areas.includes(path) ? Effect.asVoid(turns) : Effect.void
      for (let round = 0; round < 5; round++) {
        const one = yield* Effect.forkChild(writing.commits(names.slice(0, 3), 1), { startImmediately: true })
        yield* Effect.yieldNow
        yield* writing.commits(names.slice(3), 1)
        yield* Fiber.join(one)
      }
      yield* holds(disk.crash("nothing", () => 0), writing.acknowledged, writing.begun, "side by side")
    }).pipe(Effect.scoped))

  it.effect("is replayed by a server that does not flush, too", () =>
    Effect.gen(function*() {
      const disk = new FaultDisk()
      const writing = yield* Effect.gen(function*() {
        const writing = yield* journaling(yield* storageOn(disk))
        for (let round = 0; round < 4; round++) yield* writing.commits(names, 1)
        return writing
      }).pipe(Scope.provide(yield* Scope.make()))
      const crashed = disk.crash("nothing", () => 0)
      const storage = yield* storageOn(crashed, { durability: "os" })
      for (const name of names) {
        assert.strictEqual((yield* storage.open(named(name))).tail, writing.acknowledged.get(name))
      }
    }).pipe(Effect.scoped))

  it.effect("replays as many commits of one log as its areas hold, into a file that is only zeros now", () =>
    Effect.gen(function*() {
      const count = 150_000
      const start = encodeNewLog(described("a"), commitOf("a", 0, ["0"]))
      const pieces = [Buffer.from(start.bytes)]
      const records: Array<JournalRecord> = []
      let position = start.bytes.length
      let crc = start.crc
      for (let offset = 1; offset <= count; offset++) {
        const commit = encodeCommit(commitOf("a", offset, ["1"]).events, undefined, crc)
        records.push({ log: "a.json", position, bytes: commit.bytes })
        pieces.push(Buffer.from(commit.bytes))
        position += commit.bytes.length
        crc = commit.crc
      }
      const whole = Buffer.concat(pieces)
      const disk = FaultDisk.holding({ [pathOf("a")]: Buffer.concat([start.bytes], whole.length) })
      const file = yield* disk.open(pathOf("a"))
      yield* replayRecords(file, records)
      assert.isTrue(disk.files[pathOf("a")]!.equals(whole))
      yield* file.close
    }))

  it("that is cut at any byte holds the rounds before the cut", () => {
    const header = encodeAreaHeader(7)
    const records = names.map((log, i) => ({
      log: `${log}.json`,
      position: 100 * i,
      bytes: Buffer.from(`${log}\n`.repeat(i + 1))
    }))
    const first = encodeRound(records.slice(0, 2), header.crc)
    const second = encodeRound(records.slice(2), first.crc)
    const area = Buffer.concat([header.bytes, first.bytes, second.bytes])
    const ends = [header.bytes.length, header.bytes.length + first.bytes.length, area.length]
    for (let cut = 0; cut <= area.length; cut++) {
      // Bytes that an area's earlier turn left behind are no part of this turn.
      for (const rest of [Buffer.alloc(0), Buffer.alloc(40), area.subarray(ends[0])]) {
        const decoded = decodeArea(Buffer.concat([area.subarray(0, cut), rest]))
        if (cut < ends[0]!) {
          assert.isUndefined(decoded)
          continue
        }
        if (rest.length > 40 && cut === ends[0]) continue
        const whole = cut >= ends[2]! ? 6 : cut >= ends[1]! ? 2 : 0
        assert.deepStrictEqual(decoded, { generation: 7, records: records.slice(0, whole) }, `cut at ${cut}`)
      }
    }
  })
})
