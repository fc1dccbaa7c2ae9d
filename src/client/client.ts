/**
 * Streams from far away, over HTTP. Browser-safe. Events pass through as the text that the server sent: the client does not
 * parse and write them anew (promise 8).
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
import {
  checkAnswer,
  checkType,
  problemOf,
  ServerRefused,
  ServerUnreachable,
  strangeAnswer,
  tooLargeAnswer
} from "./client-answers.ts"
import { namesOf } from "./name-list.ts"
import { headersOf, queryOf, send } from "./requests.ts"

/** The beginning of a reading. If several are given, the latest counts. */
export interface Start {
  readonly offset?: string | undefined
  readonly tail?: number | undefined
  readonly since?: string | undefined
}

/** The conditions of an append (docs/protocol.md 3). */
export interface Conditions {
  readonly ifMatch?: string | undefined
  readonly producer?: { readonly id: string; readonly epoch: number; readonly seq: number } | undefined
  readonly seq?: string | undefined
  /** Closes the stream with the append. */
  readonly close?: boolean | undefined
}

/** The properties of a stream that is made (PROTOCOL 5.1, 4.2). */
export interface Making {
  /** If it is left out: the source's for a fork, else bytes. */
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

/** The names to list. */
export interface ListOptions {
  readonly prefix?: string | undefined
  readonly after?: string | undefined
  readonly limit?: number | undefined
}

/** The facts about a stream. */
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

  const exchange = (request: HttpClientRequest.HttpClientRequest) => send(request, meant, unreachable)
  const request = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.flatMap(exchange(request), (response) => checkAnswer(response, base))
  const unreachable = (cause: unknown) => new ServerUnreachable({ url: base, cause })
  const text = (response: HttpClientResponse.HttpClientResponse, bytesMax: number) =>
    textOf<ClientError>(response, bytesMax, unreachable, () => tooLargeAnswer(base))
  const checkJson = checkType("application/json", base)

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
      Effect.flatMap(checkJson),
      // The answer holds the event again.
      Effect.flatMap((response) => text(response, eventCharactersMax(body.length))),
      Effect.filterOrFail((answer) => isEventText(answer) || isReceipt(answer), () => strangeAnswer(base))
    )

  const health = Effect.gen(function*() {
    const response = yield* exchange(HttpClientRequest.get(`${base}/health`))
    // A server that can store nothing answers 503: it is a server of ours all the same.
    const isFailing = response.status === 503
    if (!isFailing) yield* Effect.flatMap(checkAnswer(response, base), checkJson)
    const body = yield* text(response, healthBytesMax)
    return yield* Schema.decodeEffect(Schema.fromJsonString(Health))(body).pipe(
      Effect.mapError(() => isFailing ? problemOf(body, response.status) : strangeAnswer(base))
    )
  })

  const names = (options: ListOptions): Stream.Stream<string, ClientError, HttpClient.HttpClient> =>
    Stream.unwrap(
      request(HttpClientRequest.get(`${base}/streams${queryOf(options)}`)).pipe(
        Effect.flatMap(checkJson),
        Effect.map((response) =>
          namesOf<ClientError>(
            Stream.decodeText(bytesOf<ClientError>(response, answerTimeout, unreachable)),
            () => strangeAnswer(base)
          )
        )
      )
    )

  return {
    url: base,

    /** Appends one event, whose data is JSON text; returns the text of the event, or of the receipt for a repetition. */
    append: (name: string, data: string, conditions: Conditions = {}) =>
      append(name, `{"data":${data}}`, "application/json", conditions),

    /** Appends several events, each JSON text without line breaks, as one commit; returns the text of the receipt. */
    appendAll: (name: string, data: ReadonlyArray<string>, conditions: Conditions = {}) =>
      append(name, data.join("\n"), "application/x-ndjson", conditions),

    /** Makes a stream or a fork, or finds one that was made the same way; `made` tells which. */
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

    /** The facts about the stream; a request for them does not count as use. */
    info: (name: string) =>
      request(HttpClientRequest.head(base + protocolPath(name))).pipe(
        // An answer to HEAD has no body with a sentence.
        Effect.mapError((error) => error._tag === "ServerRefused" ? explainRefusal(name, error) : error),
        Effect.map(({ headers }) => factsOf(name, headers))
      ),

    /** Closes the stream, with a last content of its type if one is given. Closing without one may be repeated. */
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

    /** The events that there are, oldest first. */
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
          ).pipe(Effect.flatMap(checkType("application/x-ndjson", base))),
          (response) =>
            linesOf<ClientError, ClientError, HttpClient.HttpClient>(
              Stream.decodeText(bytesOf<ClientError>(response, answerTimeout, unreachable)),
              Effect.map(health, ({ bodyBytesMax }) => eventCharactersMax(bodyBytesMax)),
              () => tooLargeAnswer(base)
            ).pipe(
              Stream.mapArrayEffect((lines) =>
                lines.every(isEventText) ? Effect.succeed(lines) : Effect.fail(strangeAnswer(base))
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

    /** The text of `/health`, also of a server that fails, and the proof that the server adds for `challenge`. */
    provenHealth: (challenge: string) =>
      Effect.flatMap(
        exchange(HttpClientRequest.get(`${base}/health`).pipe(HttpClientRequest.setHeader(challengeHeader, challenge))),
        (response) =>
          Effect.map(text(response, healthBytesMax), (body) => ({ body, proof: response.headers[proofHeader] }))
      )
  }
}

/** Whether the text is the answer to an append that shows no event. */
const isReceipt = (answer: string): boolean => answer.startsWith(`{"eventStreamId":"`) && answer.endsWith("}")

const factsOf = (stream: string, headers: HttpClientResponse.HttpClientResponse["headers"]): StreamFacts => ({
  stream,
  contentType: headers["content-type"] ?? "",
  nextOffset: headers["stream-next-offset"] ?? "",
  closed: headers["stream-closed"] === "true",
  ...(headers["stream-ttl"] === undefined ? undefined : { ttlSeconds: Number(headers["stream-ttl"]) }),
  ...(headers["stream-expires-at"] === undefined ? undefined : { expiresAt: headers["stream-expires-at"] })
})

const explainRefusal = (name: string, { message, problem, status }: ServerRefused): ServerRefused => {
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
