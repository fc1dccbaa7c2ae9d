/**
 * Disks that fail, tear and forget (G4), in this process. First each call of a run fails once (after SQLite). Then a
 * crash cuts a log of six commits at every call and every byte (after ALICE). Then as many seeds as given: any history,
 * with or without failures, and any crashes, after which any part of the unflushed writes is there, in any order, for
 * each file separately.
 */
import { Effect, Exit } from "effect"
import type { Suite } from "../chaos/harness/suite.ts"
import { name as sixName, sixCommits, storageOn, writing as sixWriting } from "../support/log-fixtures.ts"
import { Random } from "../support/random.ts"
import { holds } from "./disk-holds.ts"
import { type Asked, DiskLogs } from "./disk-logs.ts"
import { choosing, crashModes, failing, FaultDisk } from "./fault-disk.ts"
import { inProcess, rest } from "./in-process.ts"

export const disk: Suite = {
  name: "disk",
  about: "disks that fail and tear, in process: after any crash the logs have whole commits, and all acknowledged ones",
  rounds: 20_000,
  run: async ({ random, rounds, say }) => {
    const total = new Total()
    await everyCallFails(random.fork(), total)
    say(`${total.failedCalls} calls failed, one at a time`)
    await everyByte(random.fork(), total)
    say(`${total.cuts} cuts at every call and byte`)
    for (let seed = 0; seed < rounds && total.violations.length === 0; seed++) {
      await anyHistory(random.fork(), seed, total)
      if (seed % 1_000 === 999) {
        say(`${seed + 1} seeds, ${total.crashes} crashes, ${total.violations.length} violations`)
      }
    }
    const { acknowledged, crashes, cuts, failedCalls, refused, violations } = total
    return { counts: { failedCalls, cuts, crashes, acknowledged, refused }, violations }
  }
}

/** The totals of a run of the suite. */
export class Total {
  failedCalls = 0
  cuts = 0
  crashes = 0
  acknowledged = 0
  refused = 0
  readonly violations: Array<string> = []
}

/**
 * Loop A: the first call fails, then the second one, and so on, until a run has fewer calls. Each run has the same
 * plan.
 */
export const everyCallFails = async (random: Random, total: Total, modes = crashModes): Promise<void> => {
  const plan = random.between(0, 2 ** 31)
  for (let n = 0;; n++) {
    const disk = new FaultDisk()
    let calls = 0
    disk.before = (call, path) =>
      call !== "close" && calls++ === n ? Effect.fail(failing(call, path, "EIO")) : Effect.void
    const found = await inProcess(Effect.gen(function*() {
      const logs = yield* writeLogs(disk, new Random(plan), 20)
      const isWhole = calls <= n
      disk.before = () => Effect.void
      // Only one call failed: a commit that was refused for it succeeds at the next try.
      const found = logs.givenUp > 0 ? [`${logs.givenUp} commits were never taken`] : []
      for (const mode of modes) {
        found.push(...yield* holds(disk.crash(mode, choosing(n)), logs.noted, random.fork()))
      }
      return { found, isWhole }
    }))
    total.violations.push(...found.found.map((sentence) => `call ${n} failed: ${sentence}`))
    if (found.isWhole) return
    total.failedCalls++
  }
}

/** Loop B: six commits, and the power fails at every call, after every byte of the unflushed writes. */
const everyByte = async (random: Random, total: Total): Promise<void> => {
  for (const closing of ["with an event", "alone", "not"] as const) {
    const commits = sixCommits(closing)
    const disk = new FaultDisk()
    const states: Array<{ readonly disk: FaultDisk; readonly asked: Asked }> = []
    let acknowledged = 0
    const note = () => {
      const asked: Asked = {
        name: sixName,
        acknowledged: commits.slice(0, acknowledged),
        maybe: commits.slice(acknowledged, acknowledged + 1),
        there: acknowledged > 0 ? "yes" : "maybe"
      }
      let most = 0
      for (let bytes = 0; bytes <= most; bytes++) {
        const upTo = (below: number) => {
          most = Math.max(most, below - 1)
          return Math.min(bytes, below - 1)
        }
        states.push({ disk: disk.crash("prefix", upTo), asked })
      }
    }
    disk.before = () => Effect.sync(note)
    await inProcess(sixWriting(disk, commits, (count) => {
      acknowledged = count
      note()
    }))
    for (const { asked, disk } of states) {
      total.cuts++
      total.violations.push(...await inProcess(holds(disk, [asked], random)))
    }
  }
}

/** Loop C: a random history; the power fails at some calls, and at the end. */
export const anyHistory = async (random: Random, seed: number, total: Total): Promise<void> => {
  const disk = new FaultDisk()
  const crash = () => disk.crash("each its own", (below) => random.between(0, below - 1))
  const trouble = random.weighted({ none: 5, call: 2, flush: 2, full: 1 })
  const failsAt = random.between(0, 200)
  const code = random.pick(["EIO", "ENOSPC"])
  if (trouble === "flush") disk.flushesUntilFailure = random.between(0, 30)
  if (trouble === "full") disk.space = random.between(0, 60_000)
  const often = random.pick([0.005, 0.02, 0.1])
  const crashes: Array<{ readonly disk: FaultDisk; readonly asked: ReadonlyArray<Asked> }> = []
  let logs: DiskLogs | undefined
  let calls = 0
  disk.before = (call, path) =>
    Effect.suspend(() => {
      if (logs !== undefined && crashes.length < crashesMax && random.chance(often)) {
        crashes.push({ disk: crash(), asked: logs.noted })
      }
      return trouble === "call" && call !== "close" && calls++ === failsAt
        ? Effect.fail(failing(call, path, code))
        : Effect.void
    })
  await inProcess(Effect.gen(function*() {
    const made = yield* writeLogs(disk, random, random.between(1, 30), (made) => void (logs = made))
    crashes.push({ disk: crash(), asked: made.noted })
    total.refused += made.givenUp
    for (const { acknowledged } of made.noted) total.acknowledged += acknowledged.length
  }))
  for (const { asked, disk } of crashes) {
    total.crashes++
    const found = await inProcess(holds(disk, asked, random))
    total.violations.push(...found.map((sentence) => `seed ${seed} (${trouble}): ${sentence}`))
  }
}

/** The most crashes of one history: more would be much alike. */
const crashesMax = 4

/** Writes to logs, until the storage closes as it does when a server stops. */
const writeLogs = (disk: FaultDisk, random: Random, steps: number, begun: (logs: DiskLogs) => void = () => {}) =>
  Effect.gen(function*() {
    const opening = yield* Effect.exit(storageOn(disk, { journalBytesMax: random.pick([4_096, 20_000, 2 ** 24]) }))
    // The first call of all may be the failing one.
    const storage = Exit.isSuccess(opening) ? opening.value : yield* Effect.orDie(storageOn(disk))
    const logs = new DiskLogs(storage, random)
    begun(logs)
    yield* logs.run(steps)
    yield* rest
    return logs
  }).pipe(Effect.scoped)
