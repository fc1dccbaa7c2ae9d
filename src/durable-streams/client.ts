/**
 * The same contract from far away, over HTTP. Browser-safe. Events pass through as the text the server sent: nothing is
 * parsed and written anew on the way (promise 8).
 */
import { Data, Effect, Option, Schedule, Schema, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
// Module by module: all of effect/http would be a third of what a command loads.
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { Offset } from "./types.ts"
import { offsetDigits, offsetStart } from "./types.ts"
import { Health, StreamList, streamPath } from "./wire.ts"

/** Nobody answers at this address. */
export class ServerUnreachable extends Data.TaggedError("ServerUnreachable")<{
  readonly url: string
  readonly cause: unknown
}> {
  override get message() {
    return `No server answers at ${this.url}. Start one there, or check the address (DURABLE_STREAMS_URL).`
  }
}

/** The server answered with a problem (RFC 9457). */
export class ServerRefused extends Data.TaggedError("ServerRefused")<{
  readonly status: number
  /** The server's sentence. */
  readonly message: string
  /** The whole problem, where it was one. */
  readonly problem: Readonly<Record<string, unknown>>
}> {}

export type ClientError = ServerUnreachable | ServerRefused

/** Where a reading begins. The latest of what is given counts. */
export interface Start {
  readonly offset?: string | undefined
  readonly tail?: number | undefined
  readonly since?: string | undefined
}

/** One event as the server wrote it. */
export interface EventText {
  readonly offset: Offset
  /** The offset behind it: where to go on. */
  readonly next: string
  readonly text: string
}

export interface FollowOptions {
  readonly start: Start
  /** Where the server is now; asked again at every reconnection, since it may have come back elsewhere. */
  readonly locate: Effect.Effect<string, ServerUnreachable>
  /** Called once for each time the connection is lost. */
  readonly onLost?: Effect.Effect<void>
  /** Called with the offset of the next event for each connection; all but the first are `isBack`. */
  readonly onConnected?: (next: string, isBack: boolean) => Effect.Effect<void>
}

export const makeClient = (url: string) => {
  const base = url.replace(/\/+$/, "")

  const request = (request: HttpClientRequest.HttpClientRequest) =>
    HttpClient.execute(request).pipe(
      Effect.mapError((cause) => new ServerUnreachable({ url: base, cause })),
      Effect.filterOrElse(isAccepted, refused)
    )
  const text = (response: HttpClientResponse.HttpClientResponse) =>
    Effect.mapError(response.text, (cause) => new ServerUnreachable({ url: base, cause }))

  const append = (name: string, body: string, contentType: string) =>
    request(HttpClientRequest.post(base + streamPath(name)).pipe(HttpClientRequest.bodyText(body, contentType))).pipe(
      Effect.flatMap(text)
    )

  const decoded = <A>(path: string, schema: Schema.ConstraintDecoder<A>) =>
    Effect.flatMap(
      Effect.flatMap(request(HttpClientRequest.get(base + path)), text),
      (body) =>
        Schema.decodeEffect(Schema.fromJsonString(schema))(body).pipe(
          Effect.mapError((cause) => new ServerUnreachable({ url: base, cause }))
        )
    )

  return {
    url: base,

    /** Appends one event, whose data is JSON text; answers with the event's text. */
    append: (name: string, data: string) => append(name, `{"data":${data}}`, "application/json"),

    /** Appends several events, each JSON text without line breaks, as one commit; answers with the receipt's text. */
    appendAll: (name: string, data: ReadonlyArray<string>) => append(name, data.join("\n"), "application/x-ndjson"),

    /** The events there are, oldest first. */
    events: (
      name: string,
      options: Start & { readonly limit?: number | undefined }
    ): Stream.Stream<string, ClientError> =>
      Stream.unwrap(
        Effect.map(
          request(
            HttpClientRequest.get(`${base}${streamPath(name)}/events${queryOf(options)}`).pipe(
              HttpClientRequest.setHeader("accept", "application/x-ndjson")
            )
          ),
          (response) =>
            response.stream.pipe(
              Stream.mapError((cause) => new ServerUnreachable({ url: base, cause })),
              Stream.decodeText(),
              Stream.splitLines
            )
        )
      ).pipe(Stream.provide(FetchHttpClient.layer)),

    list: (options: { prefix?: string | undefined; after?: string | undefined; limit?: number | undefined } = {}) =>
      decoded(`/streams${queryOf(options)}`, StreamList),

    delete: (name: string) => Effect.asVoid(request(HttpClientRequest.delete(base + streamPath(name)))),

    health: decoded("/health", Health)
  }
}

/**
 * Catch-up, then live, each event once, for as long as the stream lives: when the connection is lost it is made again,
 * resuming behind the last event that was seen (promise 4). Refusals end it.
 */
export const follow = (name: string, options: FollowOptions): Stream.Stream<EventText, ClientError> => {
  const { locate, onConnected = () => Effect.void, onLost = Effect.void, start } = options
  let next: string | undefined
  let lost = false
  let failures = 0

  const connection = Effect.gen(function*() {
    const base = yield* locate
    const query = queryOf(next === undefined ? start : { offset: next })
    const url = `${base}${streamPath(name)}${query}`
    const response = yield* HttpClient.execute(
      HttpClientRequest.get(url).pipe(HttpClientRequest.setHeader("accept", "text/event-stream"))
    ).pipe(
      Effect.mapError((cause) => new ServerUnreachable({ url: base, cause })),
      Effect.filterOrElse(isAccepted, refused)
    )
    next ??= response.headers["stream-next-offset"]
    if (next !== undefined) yield* onConnected(next, lost)
    lost = false
    failures = 0
    return response.stream.pipe(
      Stream.decodeText(),
      Stream.pipeThroughChannel(Sse.decode({ maxEventSize: Infinity })),
      Stream.mapError((cause) => new ServerUnreachable({ url: base, cause })),
      Stream.mapEffect((event) =>
        event.event === "problem" ? Effect.fail(problemOf(event.data)) : Effect.sync(() => {
          const offset = event.data.slice(offsetStart, offsetStart + offsetDigits) as Offset
          next = (Number(offset) + 1).toString().padStart(offsetDigits, "0")
          return { offset, next, text: event.data }
        })
      ),
      // The server ends a following only to stop: whoever follows goes on with the next one.
      Stream.concat(Stream.fail(new ServerUnreachable({ url: base, cause: "ended" })))
    )
  })

  return Stream.unwrap(connection).pipe(
    Stream.tapError((error) =>
      Effect.suspend(() => {
        if (error._tag !== "ServerUnreachable" || lost) return Effect.void
        lost = true
        return onLost
      })
    ),
    Stream.retry(
      Schedule.forever.pipe(
        Schedule.modifyDelay(() => Effect.sync(() => pauseMillis(failures++))),
        Schedule.jittered,
        Schedule.setInputType<ClientError>(),
        Schedule.while(({ input }) => input._tag === "ServerUnreachable")
      )
    ),
    Stream.provide(FetchHttpClient.layer)
  )
}

/** Soon at first, since most restarts take a moment; then every two seconds, which costs nobody anything. */
const pauseMillis = (failures: number): number => Math.min(100 * 2 ** failures, 2_000)

const isAccepted = (response: HttpClientResponse.HttpClientResponse): boolean => response.status < 400

const refused = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<never, ServerRefused> =>
  Effect.flatMap(
    Effect.orElseSucceed(response.text, () => ""),
    (text) => Effect.fail(problemOf(text, response.status))
  )

const problemOf = (text: string, status = 500): ServerRefused => {
  const problem = Option.getOrElse(
    Schema.decodeOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json)))(text),
    () => ({} as Readonly<Record<string, unknown>>)
  )
  return new ServerRefused({
    status: typeof problem["status"] === "number" ? problem["status"] : status,
    message: typeof problem["detail"] === "string" ? problem["detail"] : `The server answered ${status}.`,
    problem
  })
}

const queryOf = (parameters: object): string => {
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== undefined) query.set(key, String(value))
  }
  return query.size === 0 ? "" : `?${query}`
}
