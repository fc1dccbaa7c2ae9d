/**
 * The same seed gives the same run: on a disk in memory, with a simulated clock, every call of the disk and every
 * written byte repeats. Therefore every finding of a suite in this process can be reproduced.
 */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import { assert, it } from "vitest"
import type { Disk, DiskFile } from "../../src/storage-filesystem/disk/disk.ts"
import { storageOn } from "../support/log-fixtures.ts"
import { Random } from "../support/random.ts"
import { DiskLogs } from "./disk-logs.ts"
import { FaultDisk } from "./fault-disk.ts"
import { inProcess, rest } from "./in-process.ts"

/** Wraps the disk, and notes every call and its bytes. */
const traceCalls = (disk: FaultDisk, trace: Array<string>): Disk => {
  disk.before = (call, path) => Effect.sync(() => void trace.push(`${call} ${path}`))
  const file = (opened: DiskFile): DiskFile => ({
    ...opened,
    write: (bytes, position) =>
      Effect.suspend(() => {
        trace.push(`${position} ${createHash("sha256").update(bytes).digest("hex")}`)
        return opened.write(bytes, position)
      }),
    truncate: (size) =>
      Effect.suspend(() => {
        trace.push(`${size}`)
        return opened.truncate(size)
      })
  })
  return {
    ...disk,
    open: (path) => Effect.map(disk.open(path), file),
    create: (path) => Effect.map(disk.create(path), file)
  }
}

const run = async (seed: number) => {
  const trace: Array<string> = []
  const disk = new FaultDisk()
  disk.flushesUntilFailure = 40
  await inProcess(Effect.gen(function*() {
    const storage = yield* storageOn(traceCalls(disk, trace), { journalBytesMax: 20_000 })
    yield* new DiskLogs(storage, new Random(seed)).run(40)
    yield* rest
  }))
  return { trace, files: disk.files }
}

it("two runs with the same seed make the same calls to the disk, byte for byte", async () => {
  const seeds = [1, 2, 3, 4, 5, 6]
  const traces = await Promise.all(seeds.map(run))
  for (const [i, seed] of seeds.entries()) assert.deepStrictEqual(await run(seed), traces[i])
  assert.isAbove(traces.flatMap(({ trace }) => trace).length, 1_000)
  assert.isTrue(traces.some(({ trace }) => trace.some((line) => line.startsWith("write /journal."))))
  assert.notDeepEqual(traces[0], traces[1])
})
