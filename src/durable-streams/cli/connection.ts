/**
 * The server that a stream command talks to: the one that `DURABLE_STREAMS_URL` names, else the local one, started if it is
 * not there.
 */
import { Config, Data, Effect, Runtime } from "effect"
import { Flag } from "effect/cli"
import type { HttpClient } from "effect/http/HttpClient"
import type { Address } from "../../api/wire.ts"
import { isCausedBy, isOther, ServerUnreachable } from "../../client/client-answers.ts"
import { makeClient } from "../../client/client.ts"
import { exitCodes } from "../../domain/exit-codes.ts"
import { version } from "../../domain/version.ts"
import type { Found } from "../daemon.ts"
import { find, findOrStart } from "../daemon.ts"
import { WrongUsage } from "./exit.ts"
import { dataDirectoryFlag, localSettings } from "./flags/settings-flags.ts"
import { tell } from "./terminal.ts"

/** There is no local server. */
export class NotRunning extends Data.TaggedError("NotRunning")<{ readonly dataDirectory: string }> {
  override readonly [Runtime.errorExitCode] = exitCodes.notFound

  override get message() {
    return `No server is running for ${this.dataDirectory}. Start one with: server start`
  }
}

export const connectionFlags = {
  dataDirectory: dataDirectoryFlag,
  start: Flag.Boolean("start").pipe(
    Flag.withDescription("Start a local server when none is running; --no-start: do not"),
    Flag.withDefault(true)
  )
}

interface Connection {
  readonly dataDirectory: string
  readonly start: boolean
}

/** Undefined when it is not set, or set to nothing. */
export const remoteUrl = Effect.gen(function*() {
  const url = yield* Config.String("DURABLE_STREAMS_URL").pipe(Config.withDefault(""), Effect.orDie)
  if (url === "") return undefined
  const parsed = /^https?:\/\/[^\s\p{Cc}]+$/iu.test(url) ? URL.parse(url) : null
  // A password is not repeated.
  const shown = parsed?.password ? "DURABLE_STREAMS_URL" : `DURABLE_STREAMS_URL is ${JSON.stringify(url)}`
  const fault = parsed === null
    ? `${shown}:`
    : parsed.username !== "" || parsed.password !== ""
    ? `${shown}: user and password have no meaning there;`
    : /[?#]/.test(url)
    ? `${shown}: a query or a fragment has no meaning there;`
    : undefined
  if (fault === undefined) return url.replace(/(?<!\/)\/+$/, "")
  return yield* Effect.fail(new WrongUsage(`${fault} write it like http://127.0.0.1:3000.`))
})

/**
 * Returns a way to ask the server, which is started if need be and allowed. If the server leaves between being found and
 * being asked, it is found or started again: a refused connection carried nothing, and another server that has the port by
 * then has refused the request, so nothing is done twice. A local server of another version is used all the same, and the
 * command says so once.
 */
export const connect = Effect.fnUntraced(function*(connection: Connection) {
  let isTold = false
  const reachClient = Effect.gen(function*() {
    const server = yield* reach(connection)
    if (typeof server === "string") return makeClient(server)
    if (server.health.version !== version && !isTold) {
      isTold = true
      yield* tell(
        `The server is version ${server.health.version}, this command ${version}. ` +
          "Restart it with this version: server restart"
      )
    }
    return makeClient(addressOf(server))
  })
  let client = yield* reachClient
  return <A, E, R>(request: (client: Client) => Effect.Effect<A, E, R>) =>
    Effect.suspend(() => request(client)).pipe(
      Effect.catchIf(isNotThere, () =>
        Effect.flatMap(reachClient, (again) => request(client = again)).pipe(
          Effect.retry({ times: 3, while: isNotThere })
        ))
    )
})

type Client = ReturnType<typeof makeClient>

/** No server listened at the address, or one of another directory. */
const isNotThere = (error: unknown): boolean => isCausedBy(error, "ECONNREFUSED") || isOther(error)

/** The address that is named, else the local server, found or started. */
const reach = Effect.fnUntraced(function*(connection: Connection) {
  const url = yield* remoteUrl
  if (url !== undefined) return url
  if (!connection.start) {
    const found = yield* find(connection.dataDirectory)
    return found ?? (yield* new NotRunning(connection))
  }
  const server = yield* findOrStart(yield* localSettings(connection.dataDirectory))
  if (server.started) {
    yield* tell(`Started a server at ${server.url} (pid ${server.health.pid}), data in ${connection.dataDirectory}`)
  }
  return server
})

/** The address of the server now; never starts one. */
export const locate = Effect.fnUntraced(function*(
  { dataDirectory }: Pick<Connection, "dataDirectory">
): Effect.fn.Return<string | Address, ServerUnreachable, HttpClient> {
  const url = yield* Effect.orDie(remoteUrl)
  if (url !== undefined) return url
  // A directory that belongs to another user by now is nothing to wait for.
  const found = yield* Effect.orDie(find(dataDirectory))
  return found === undefined
    ? yield* new ServerUnreachable({ url: `the address in ${dataDirectory}`, cause: "not running" })
    : addressOf(found)
})

const addressOf = ({ health: { dataDirectory }, url }: Found): Address => ({ url, dataDirectory })
