/**
 * Looks at everything that a server needs, one thing after the other, and says of each whether it is right and what to do
 * where it is not. Changes nothing: no server is started, no directory made.
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

/** Answers whether no check failed. */
export const examine = Effect.fnUntraced(function*(options: DoctorOptions) {
  const { dataDirectory, onChecked, url } = options
  const files = filesOf(dataDirectory)
  const looked = yield* Effect.result(find(dataDirectory))
  const found = Result.isSuccess(looked) ? looked.success : undefined
  const trouble = Result.isFailure(looked) ? looked.failure : undefined
  const isForeign = trouble?._tag === "DataDirectoryNotTrusted"
  // A lock that is a link is not looked at.
  const lock = isForeign ? "unknown" : yield* lockState(files.lock)
  const checks: ReadonlyArray<readonly [name: string, check: Effect.Effect<Finding, never, HttpClient>]> = [
    ["data directory", isForeign ? Effect.succeed(findingOf(trouble)) : checkDirectory(dataDirectory)],
    ["file system", checkFileSystem(dataDirectory)],
    ["logs", checkLogs(dataDirectory)],
    ["lock", checkLock(files, lock, found)],
    [
      "daemon",
      trouble?._tag === "DataDirectoryMoved" ? Effect.succeed(moved(trouble)) : checkDaemon(files, lock, found)
    ],
    ["port", checkPort(options, found)],
    ["versions", checkVersions(url, found)],
    ["open files", checkFileLimit(found)],
    ["proxy", checkProxy(url)]
  ]
  let healthy = true
  for (const [check, look] of checks) {
    const finding = yield* look
    healthy &&= finding.status !== "fail"
    yield* onChecked({ check, ...finding })
  }
  return healthy
})

const findingOf = ({ advice, path, reason }: DataDirectoryNotTrusted): Finding => ({
  status: "fail",
  says: `${path} ${reason}.`,
  advice
})

const moved = ({ before, pid }: DataDirectoryMoved): Finding => ({
  status: "fail",
  says: `Its server (pid ${pid}) started when the directory was ${before}.`,
  advice: "Stop it with: durable-streams server stop"
})
