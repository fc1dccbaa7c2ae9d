/**
 * The same contract from far away, over HTTP. Browser-safe. Events pass through as the text the server sent: nothing is
 * parsed and written anew on the way (promise 8).
 */
import { Effect, Schema, Stream } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { Address } from "../api/wire.ts"
import {
  challengeHeader,
  Health,
  proofHeader,
  protocolPath,
  type StreamList,
  streamPath,
  toTarget
} from "../api/wire.ts"
import { StreamGone } from "../domain/errors.ts"
import {
  answerTimeout,
  bytesOf,
  eventCharactersMax,
  healthBytesMax,
  isEventText,
  linesOf,
  textOf
} from "./answer-bounds.ts"
import type { ClientError } from "./client-answers.ts"
import { accepted, ofType, problemOf, ServerRefused, ServerUnreachable, strange, tooLarge } from "./client-answers.ts"
import { namesOf } from "./name-list.ts"
import { headersOf, queryOf, send } from "./requests.ts"

/** Where a reading begins. The latest of what is given counts. */
export interface Start {
  readonly offset?: string | undefined
  readonly tail?: number | undefined
  readonly since?: string | undefined
}

/** On what an append depends (docs/protocol.md 3). */
export interface Conditions {
  readonly ifMatch?: string | undefined
  readonly producer?: { readonly id: string; readonly epoch: number; readonly seq: number } | undefined
  readonly seq?: string | undefined
  /** Close the stream with the append. */
  readonly close?: boolean | undefined
}

/** What a stream is made with (PROTOCOL 5.1, 4.2). */
export interface Making {
  /** Left out: the source's for a fork, else bytes. */
  readonly contentType?: string | undefined
  readonly ttlSeconds?: number | undefined
  /** RFC 3339. */
  readonly expiresAt?: string | undefined
  readonly closed?: boolean | undefined
  /** Its first content. */
  readonly body?: string | undefined
  readonly fork?: {
    readonly source: string
    readonly offset?: string | undefined
    readonly subOffset?: number | undefined
  } | undefined
}

/** Which names to list. */
export interface ListOptions {
  readonly prefix?: string | undefined
  readonly after?: string | undefined
  readonly limit?: number | undefined
}

/** What is known of a stream. */
export interface StreamFacts {
  readonly stream: string
  readonly contentType: string
  /** The offset the next event will have. */
  readonly nextOffset: string
  readonly closed: boolean
  readonly ttlSeconds?: number
  readonly expiresAt?: string
}

export const makeClient = (address: string | Address) => {
  const { base, meant } = toTarget(address)

  const sent = (request: HttpClientRequest.HttpClientRequest) => send(request, meant, unreachable)
  const request = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.flatMap(sent(request), (response) => accepted(response, base))
  const unreachable = (cause: unknown) => new ServerUnreachable({ url: base, cause })
  const text = (response: HttpClientResponse.HttpClientResponse, bytesMax: number) =>
    textOf<ClientError>(response, bytesMax, unreachable, () => tooLarge(base))
  const isJson = ofType("application/json", base)

  const append = (name: string, body: string, contentType: string, conditions: Conditions) =>
    request(
      HttpClientRequest.post(base + streamPath(name)).pipe(
        HttpClientRequest.setHeaders(headersOf({
          "if-match": conditions.ifMatch,
          "producer-id": conditions.producer?.id,
          "producer-epoch": conditions.producer?.epoch,
          "producer-seq": conditions.producer?.seq,
          "stream-seq": conditions.seq,
          "stream-closed": conditions.close
        })),
        HttpClientRequest.bodyText(body, contentType)
      )
    ).pipe(
      Effect.flatMap(isJson),
      // The answer repeats the event.
      Effect.flatMap((response) => text(response, eventCharactersMax(body.length))),
      Effect.filterOrFail((answer) => isEventText(answer) || isReceipt(answer), () => strange(base))
    )

  const health = Effect.gen(function*() {
    const response = yield* sent(HttpClientRequest.get(`${base}/health`))
    // A server that can store nothing says so with 503, and is the one that was looked for all the same.
    const isFailing = response.status === 503
    if (!isFailing) yield* Effect.flatMap(accepted(response, base), isJson)
    const body = yield* text(response, healthBytesMax)
    return yield* Schema.decodeEffect(Schema.fromJsonString(Health))(body).pipe(
      Effect.mapError(() => isFailing ? problemOf(body, response.status) : strange(base))
    )
  })

  const names = (options: ListOptions): Stream.Stream<string, ClientError, HttpClient.HttpClient> =>
    Stream.unwrap(
      request(HttpClientRequest.get(`${base}/streams${queryOf(options)}`)).pipe(
        Effect.flatMap(isJson),
        Effect.map((response) =>
          namesOf<ClientError>(
            Stream.decodeText(bytesOf<ClientError>(response, answerTimeout, unreachable)),
            () => strange(base)
          )
        )
      )
    )

  return {
    url: base,

    /** Appends one event, whose data is JSON text; answers with the event's text, or with that it had been appended. */
    append: (name: string, data: string, conditions: Conditions = {}) =>
      append(name, `{"data":${data}}`, "application/json", conditions),

    /** Appends several events, each JSON text without line breaks, as one commit; answers with the receipt's text. */
    appendAll: (name: string, data: ReadonlyArray<string>, conditions: Conditions = {}) =>
      append(name, data.join("\n"), "application/x-ndjson", conditions),

    /** Makes a stream or a fork, or finds that it is there and was made so; says which. */
    create: (name: string, making: Making) =>
      Effect.map(
        request(
          HttpClientRequest.put(base + protocolPath(name)).pipe(
            making.body === undefined ? (put) => put : HttpClientRequest.bodyText(making.body),
            HttpClientRequest.setHeaders(headersOf({
              "content-type": making.contentType,
              "stream-ttl": making.ttlSeconds,
              "stream-expires-at": making.expiresAt,
              "stream-closed": making.closed,
              "stream-forked-from": making.fork && protocolPath(making.fork.source),
              "stream-fork-offset": making.fork?.offset,
              "stream-fork-sub-offset": making.fork?.subOffset
            }))
          )
        ),
        ({ headers, status }) => ({ made: status === 201, ...factsOf(name, headers) })
      ),

    /** What is known of the stream; does not count as use. */
    info: (name: string) =>
      request(HttpClientRequest.head(base + protocolPath(name))).pipe(
        // There is no body that could say it.
        Effect.mapError((error) => error._tag === "ServerRefused" ? refusedHead(name, error) : error),
        Effect.map(({ headers }) => factsOf(name, headers))
      ),

    /** Closes the stream, with a last content of its type, if given. Closing without one may be repeated. */
    close: (name: string, last?: { readonly body: string; readonly contentType: string }) =>
      Effect.map(
        request(
          HttpClientRequest.post(base + protocolPath(name)).pipe(
            HttpClientRequest.setHeader("stream-closed", "true"),
            last === undefined ? (post) => post : HttpClientRequest.bodyText(last.body, last.contentType)
          )
        ),
        ({ headers }) => ({ nextOffset: headers["stream-next-offset"] ?? "" })
      ),

    /** The events there are, oldest first. */
    events: (
      name: string,
      options: Start & { readonly limit?: number | undefined }
    ): Stream.Stream<string, ClientError, HttpClient.HttpClient> =>
      Stream.unwrap(
        Effect.map(
          request(
            HttpClientRequest.get(`${base}${streamPath(name)}/events${queryOf(options)}`).pipe(
              HttpClientRequest.setHeader("accept", "application/x-ndjson")
            )
          ).pipe(Effect.flatMap(ofType("application/x-ndjson", base))),
          (response) =>
            linesOf<ClientError, ClientError, HttpClient.HttpClient>(
              Stream.decodeText(bytesOf<ClientError>(response, answerTimeout, unreachable)),
              Effect.map(health, ({ bodyBytesMax }) => eventCharactersMax(bodyBytesMax)),
              () => tooLarge(base)
            ).pipe(
              Stream.mapArrayEffect((lines) =>
                lines.every(isEventText) ? Effect.succeed(lines) : Effect.fail(strange(base))
              )
            )
        )
      ),

    /** The names of streams, sorted, as they arrive. */
    names,

    list: (options: ListOptions = {}): Effect.Effect<StreamList, ClientError, HttpClient.HttpClient> =>
      Effect.map(Stream.runCollect(names(options)), (streams) => ({ streams })),

    delete: (name: string) => Effect.asVoid(request(HttpClientRequest.delete(base + streamPath(name)))),

    health,

    /** The text of `/health`, also of a server that fails, and the proof that comes with it for `challenge`. */
    provenHealth: (challenge: string) =>
      Effect.flatMap(
        sent(HttpClientRequest.get(`${base}/health`).pipe(HttpClientRequest.setHeader(challengeHeader, challenge))),
        (response) =>
          Effect.map(text(response, healthBytesMax), (body) => ({ body, proof: response.headers[proofHeader] }))
      )
  }
}

/** What an append answers that has no event to show. */
const isReceipt = (answer: string): boolean => answer.startsWith(`{"eventStreamId":"`) && answer.endsWith("}")

const factsOf = (stream: string, headers: HttpClientResponse.HttpClientResponse["headers"]): StreamFacts => ({
  stream,
  contentType: headers["content-type"] ?? "",
  nextOffset: headers["stream-next-offset"] ?? "",
  closed: headers["stream-closed"] === "true",
  ...(headers["stream-ttl"] === undefined ? undefined : { ttlSeconds: Number(headers["stream-ttl"]) }),
  ...(headers["stream-expires-at"] === undefined ? undefined : { expiresAt: headers["stream-expires-at"] })
})

const refusedHead = (name: string, { message, problem, status }: ServerRefused): ServerRefused => {
  if (status === 404) {
    return new ServerRefused({ status, message: `There is no stream named ${JSON.stringify(name)}.`, problem })
  }
  if (status === 410) {
    return new ServerRefused({
      status,
      message: new StreamGone({ stream: name }).message,
      problem: { ...problem, type: "urn:durable-streams:StreamGone" }
    })
  }
  return new ServerRefused({ status, message, problem })
}
