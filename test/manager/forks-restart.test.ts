/**
 * Sources and forks that a server finds when it starts, even if the server before it was killed in between.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { StreamManager } from "../../src/manager/stream-manager.ts"
import { choosing, type CrashMode, FaultDisk } from "../simulation/fault-disk.ts"
import { storageOn } from "../support/log-fixtures.ts"
import { appending, settled } from "../support/storage-fixtures.ts"
import { fork, forking, makeBoth, remove, served, source, stateOf } from "./fork-fixtures.ts"

it.effect("a source that is deleted after a restart is kept for a fork that was made before", () =>
  Effect.gen(function*() {
    const disk = new FaultDisk()
    yield* served(disk, makeBoth)
    yield* served(disk, remove(source))
    yield* served(
      disk,
      Effect.gen(function*() {
        assert.strictEqual(yield* stateOf(source), "StreamGone")
        assert.deepStrictEqual(yield* stateOf(fork), [0, 1, "own"])
        yield* remove(fork)
        yield* settled
        assert.strictEqual(yield* stateOf(source), "StreamNotFound")
      })
    )
    assert.deepStrictEqual(Object.keys(disk.files), [])
  }).pipe(Effect.scoped))

it.effect("a source that kept a place for a fork that was never made is deleted for good", () =>
  Effect.gen(function*() {
    const disk = new FaultDisk()
    yield* served(
      disk,
      Effect.gen(function*() {
        const manager = yield* StreamManager
        yield* manager.append(source, appending(0))
        yield* (yield* manager.get(source)).reserve(fork, undefined, 0)
      }).pipe(Effect.scoped)
    )
    yield* served(disk, remove(source))
    assert.deepStrictEqual(Object.keys(disk.files), [])
  }).pipe(Effect.scoped))

it.effect("a hidden source is removed by the next caller who looks for it, if its last fork vanished without a trace", () =>
  Effect.gen(function*() {
    const disk = new FaultDisk()
    yield* served(disk, makeBoth)
    yield* served(disk, remove(source))
    const storage = yield* storageOn(disk)
    yield* storage.delete(fork)
    yield* served(
      disk,
      Effect.gen(function*() {
        assert.strictEqual(yield* stateOf(source), "StreamNotFound")
        yield* (yield* StreamManager).append(source, appending("anew"))
      })
    )
    assert.deepStrictEqual(yield* served(disk, stateOf(source)), ["anew"])
  }).pipe(Effect.scoped))

const modes: ReadonlyArray<CrashMode> = ["nothing", "prefix", "everything"]

it.effect("a power cut at any call, while a fork is made and its source deleted, takes no fork's history", () =>
  Effect.gen(function*() {
    const disk = new FaultDisk()
    const choose = choosing(7)
    const crashes: Array<readonly [FaultDisk, acknowledged: number]> = []
    let acknowledged = 0
    disk.before = () =>
      Effect.sync(() => {
        for (const mode of modes) crashes.push([disk.crash(mode, choose), acknowledged])
      })
    yield* served(
      disk,
      Effect.gen(function*() {
        const manager = yield* StreamManager
        yield* manager.append(source, appending(0, 1))
        acknowledged = 1
        yield* manager.create(fork, forking)
        acknowledged = 2
        yield* manager.append(fork, appending("own"))
        acknowledged = 3
        yield* manager.delete(source)
        acknowledged = 4
        yield* manager.delete(fork)
      })
    )
    assert.isAbove(crashes.length, 50)
    for (const [crashed, acknowledged] of crashes) {
      yield* served(
        crashed,
        Effect.gen(function*() {
          const [before, after] = [yield* stateOf(source), yield* stateOf(fork)]
          const where = `${acknowledged}: ${JSON.stringify([before, after])}`
          if (acknowledged >= 1 && acknowledged < 3) assert.deepStrictEqual(before, [0, 1], where)
          if (acknowledged >= 2 && acknowledged < 4) {
            assert.include(["[0,1]", `[0,1,"own"]`], JSON.stringify(after), where)
          }
          if (acknowledged === 3) assert.deepStrictEqual(after, [0, 1, "own"], where)
          if (acknowledged >= 4) assert.include(["\"StreamGone\"", "\"StreamNotFound\""], JSON.stringify(before), where)
          if (Array.isArray(after)) assert.deepStrictEqual(after.slice(0, 2), [0, 1], where)
          // All that was left behind is removed in the end.
          for (const name of [source, fork]) yield* Effect.ignore(remove(name))
          yield* settled
          yield* stateOf(source)
        })
      )
      assert.deepStrictEqual(Object.keys(crashed.files), [])
    }
  }).pipe(Effect.scoped))
