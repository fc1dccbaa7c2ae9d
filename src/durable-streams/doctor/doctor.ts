/**
 * Checks everything that a server needs, one thing after the other, and says for each problem how to fix it. It changes
 * nothing: it starts no server and makes no directory.
 */
import { Effect, Result } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import { lockState } from "../../data-directory/lock.ts"
import { type DataDirectoryMoved, filesOf } from "../../data-directory/paths.ts"
import type { DataDirectoryNotTrusted } from "../../data-directory/trusted-directory.ts"
import { find } from "../daemon.ts"
import { checkDirectory, checkFileLimit, checkFileSystem } from "./doctor-machine.ts"
import { checkProxy } from "./doctor-proxy.ts"
import { checkDaemon, checkLock, checkPort, checkVersions } from "./doctor-server.ts"
import type { DoctorOptions, Finding } from "./finding.ts"
import { checkLogs } from "./verify-data.ts"

/** Returns whether all checks passed. */
export const examine = Effect.fnUntraced(function*(options: DoctorOptions) {
  const { dataDirectory, onChecked, url } = options
  const files = filesOf(dataDirectory)
  const search = yield* Effect.result(find(dataDirectory))
  const found = Result.isSuccess(search) ? search.success : undefined
  const trouble = Result.isFailure(search) ? search.failure : undefined
  const isForeign = trouble?._tag === "DataDirectoryNotTrusted"
  // A lock that is a link is not opened.
  const lock = isForeign ? "unknown" : yield* lockState(files.lock)
  const checks: ReadonlyArray<readonly [name: string, check: Effect.Effect<Finding, never, HttpClient>]> = [
    ["data directory", isForeign ? Effect.succeed(findingOfDistrust(trouble)) : checkDirectory(dataDirectory)],
    ["file system", checkFileSystem(dataDirectory)],
    ["logs", checkLogs(dataDirectory)],
    ["lock", checkLock(files, lock, found)],
    [
      "daemon",
      trouble?._tag === "DataDirectoryMoved" ? Effect.succeed(findingOfMove(trouble)) : checkDaemon(files, lock, found)
    ],
    ["port", checkPort(options, found)],
    ["versions", checkVersions(url, found)],
    ["open files", checkFileLimit(found)],
    ["proxy", checkProxy(url)]
  ]
  let healthy = true
  for (const [check, run] of checks) {
    const finding = yield* run
    healthy &&= finding.status !== "fail"
    yield* onChecked({ check, ...finding })
  }
  return healthy
})

const findingOfDistrust = ({ advice, path, reason }: DataDirectoryNotTrusted): Finding => ({
  status: "fail",
  says: `${path} ${reason}.`,
  advice
})

const findingOfMove = ({ before, pid }: DataDirectoryMoved): Finding => ({
  status: "fail",
  says: `Its server (pid ${pid}) started when the directory was ${before}.`,
  advice: "Stop it with: durable-streams server stop"
})
