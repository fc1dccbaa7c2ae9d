/**
 * The checks of the server: the holder of the lock, whether the daemon answers, the owner of the port, and whether the
 * server that is used has this version.
 */
import { Effect } from "effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as fs from "node:fs"
import * as net from "node:net"
import { makeClient } from "../../client/client.ts"
import { readDigits } from "../../data-directory/data-directory.ts"
import { holderOf } from "../../data-directory/lock.ts"
import type { filesOf } from "../../data-directory/paths.ts"
import { version } from "../../domain/version.ts"
import type { Found } from "../daemon.ts"
import { isTakenBeside } from "../daemon/beside-port.ts"
import type { DoctorOptions, Finding } from "./finding.ts"

type Files = ReturnType<typeof filesOf>
type LockState = "free" | "held" | "unknown"

export const checkLock = (files: Files, state: LockState, found: Found | undefined): Effect.Effect<Finding> =>
  Effect.sync(() => {
    if (state === "free") return { status: "ok", says: "No process holds it." }
    if (state === "unknown") {
      return {
        status: "fail",
        says: `${files.lock} cannot be locked: it is no lock, or this user may not write to it.`,
        advice:
          "Give the data directory back to this user; when no server runs, a file that is no lock can be taken away."
      }
    }
    const holder = holderOf(files.lock) ?? found?.health.pid ?? readDigits(files.pid)
    const who = holder === undefined ? "A process that does not say its name" : `pid ${holder}`
    return { status: "ok", says: `${who} holds it${found === undefined ? "" : ", the server"}.` }
  })

export const checkDaemon = (files: Files, lock: LockState, found: Found | undefined): Effect.Effect<Finding> =>
  Effect.sync(() => {
    if (found !== undefined) {
      const { health, url } = found
      if (health.reason !== undefined) return { status: "fail", says: health.reason }
      return { status: "ok", says: `It answers at ${url} (pid ${health.pid}), version ${health.version}.` }
    }
    const pid = readDigits(files.pid)
    if (lock === "held") {
      const named = holderOf(files.lock) ?? pid
      return {
        status: "fail",
        says: "A server holds the lock and does not answer.",
        advice: `If it has not just been started, see ${files.log}${
          named === undefined ? "" : `, and end it: kill ${named}`
        }`
      }
    }
    if (pid !== undefined || fs.existsSync(files.pid)) {
      return {
        status: "warn",
        says: `None is running; ${files.pid} was left behind${pid === undefined ? "" : ` by pid ${pid}`}.`,
        advice: "The server ended without a word; nothing has to be done, the next start replaces it."
      }
    }
    return { status: "ok", says: "None is running; the first stream command starts one." }
  })

export const checkPort = (
  { host, port, portAsked }: DoctorOptions,
  found: Found | undefined
): Effect.Effect<Finding, never, HttpClient> =>
  Effect.gen(function*() {
    const advice = "Ask for 127.0.0.1, or have one of the two listen on another port."
    if (found !== undefined) {
      return (yield* isTakenBeside("127.0.0.1", found.port))
        ? { status: "warn", says: `Port ${found.port} of ::1 is another program's, which localhost can mean.`, advice }
        : { status: "ok", says: `Port ${found.port} is the server's.` }
    }
    const code = yield* listenCode(host, port)
    if (code === undefined) {
      return (yield* isTakenBeside(host, port))
        ? { status: "warn", says: `Port ${port} of ::1 is another program's, which localhost can mean.`, advice }
        : { status: "ok", says: `Port ${port} is free.` }
    }
    if (code !== "EADDRINUSE") {
      const says = `Port ${port} of ${host} cannot be listened on (${code}).`
      return { status: "fail", says, advice: "Choose another with --port or --host." }
    }
    const other = yield* makeClient(`http://127.0.0.1:${port}`).health.pipe(
      Effect.timeout("2 seconds"),
      Effect.map((health) => `a durable-streams server (pid ${health.pid}) with its data in ${health.dataDirectory}`),
      Effect.orElseSucceed(() => "a stranger")
    )
    const says = `Port ${port} is taken by ${other}.`
    return portAsked
      ? { status: "fail", says, advice: "A server cannot be started there: choose another port, or end that one." }
      : { status: "warn", says, advice: "A server that is started here takes a free port, and the commands find it." }
  })

/** How long a server that is elsewhere has to say its version. */
const patience = "5 seconds"

/** Of this program, and of the server that is used: the server of the URL, or else the local one. */
export const checkVersions = (
  url: string | undefined,
  found: Found | undefined
): Effect.Effect<Finding, never, HttpClient> =>
  Effect.gen(function*() {
    const node = `Node ${process.versions.node} on ${process.platform} ${process.arch}`
    const server = url === undefined
      ? found
      : yield* makeClient(url).health.pipe(
        Effect.timeout(patience),
        Effect.map((health) => ({ url, health })),
        Effect.orElseSucceed(() => undefined)
      )
    if (server === undefined) {
      const unknown = url === undefined ? "" : " The server's is not known."
      return { status: "ok", says: `durable-streams ${version}, ${node}.${unknown}` }
    }
    const theirs = server.health.version
    if (theirs === version) {
      return { status: "ok", says: `durable-streams ${version}, and so is the server at ${server.url}; ${node}.` }
    }
    return {
      status: "warn",
      says: `durable-streams ${version}, the server at ${server.url} ${theirs}; ${node}.`,
      advice: url === undefined
        ? "Let this version take over: durable-streams server restart"
        : "Install the same version here and there."
    }
  })

/** The code with which listenCode there fails; undefined when it succeeds. */
const listenCode = (host: string, port: number): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    const server = net.createServer()
    server.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resume(Effect.undefined)))
  })
