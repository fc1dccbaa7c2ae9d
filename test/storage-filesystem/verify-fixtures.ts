/**
 * Logs for `verify`, and its findings in them.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { LogFault, VerifyOptions } from "../../src/storage-filesystem/verify/verify-logs.ts"
import { verifyLogs } from "../../src/storage-filesystem/verify/verify-logs.ts"
import { FaultDisk } from "../simulation/fault-disk.ts"
import { directory, name, path } from "../support/log-fixtures.ts"

export const fileName = path.slice(directory.length + 1)

export const verifying = Effect.fnUntraced(function*(disk: FaultDisk, options: Partial<VerifyOptions> = {}) {
  const faults: Array<LogFault> = []
  const { opened } = disk
  const verified = yield* verifyLogs({
    disk,
    directory,
    inUse: Effect.succeed(false),
    repair: false,
    onFault: (fault) => Effect.sync(() => void faults.push(fault)),
    ...options
  })
  assert.strictEqual(disk.opened, opened, "a descriptor was left open")
  return { faults, verified }
})

/** The only fault on a disk whose log is damaged; `verify` changes nothing. */
export const faultIn = Effect.fnUntraced(function*(files: Readonly<Record<string, Uint8Array>>, where: string) {
  const disk = FaultDisk.holding(files)
  const { faults, verified } = yield* verifying(disk)
  assert.strictEqual(faults.length, 1, where)
  assert.strictEqual(verified.faults, 1, where)
  assert.deepStrictEqual(disk.files, files, `${where}: the files were changed`)
  assert.strictEqual(faults[0]!.stream, name, where)
  assert.strictEqual(faults[0]!.file, fileName, where)
  return faults[0]!
})
