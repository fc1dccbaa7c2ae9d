/**
 * The native API as groups of an `HttpApi`: part of the document at `/openapi.json` and of the page at `/docs`. Effect can
 * derive clients from them. Browser-safe. A test compares the groups with the routes.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { StreamEvent, StreamName } from "../domain/types.ts"
import { AppendReceipt, AppendRepeated, Health, StreamList } from "./wire.ts"

/** Title and version of the whole description. */
export const about = OpenApi.annotations({
  title: "Durable Streams",
  version: "1",
  description: "Named, ordered, durable event logs to append to and to follow."
})

/** A refusal as problem details, in a description. */
export const Problem = (status: number, description: string) =>
  Schema.Struct({
    type: Schema.String,
    title: Schema.String,
    status: Schema.Int,
    detail: Schema.String
  }).pipe(
    HttpApiSchema.asJson({ contentType: "application/problem+json" }),
    HttpApiSchema.status(status)
  ).annotate({ description })

/** The refusals that every API of streams has. */
export const problems = {
  invalid: Problem(400, "The request is not valid"),
  refused: Problem(403, "Not allowed: another origin, or a host that is not this one"),
  unknown: Problem(404, "No such stream"),
  lost: Problem(410, "The offset is beyond the tail, or of another life of the stream; or the stream was deleted"),
  failed: Problem(500, "The storage failed, or the log is damaged")
}

const { failed, invalid, lost, refused, unknown } = problems
const unavailable = Problem(503, "The disk cannot be used now")

const start = {
  offset: Schema.optionalKey(Schema.String).annotate({
    description: "Where to begin: -1 or beginning, now, or an offset of up to 16 digits (inclusive)"
  }),
  tail: Schema.optionalKey(Schema.FiniteFromString).annotate({ description: "Only the last N events" }),
  since: Schema.optionalKey(Schema.String).annotate({
    description: "Only events created since then: RFC 3339, or a duration such as 10m"
  }),
  life: Schema.optionalKey(Schema.String).annotate({
    description:
      "The life of the stream that the offset is of, as Stream-Life says it: 410 if the stream is another one"
  })
}

const name = { name: StreamName }

/** The native API. */
export const streams = HttpApiGroup.make("streams").add(
  HttpApiEndpoint.get("list", "/streams", {
    query: {
      prefix: Schema.optionalKey(Schema.String),
      after: Schema.optionalKey(Schema.String),
      limit: Schema.optionalKey(Schema.FiniteFromString)
    },
    success: StreamList,
    error: [invalid, refused, failed]
  }).annotate(OpenApi.Summary, "Lists streams, sorted by name"),
  HttpApiEndpoint.post("append", "/streams/:name", {
    params: name,
    headers: {
      "if-match": Schema.optionalKey(Schema.String).annotate({ description: "Append only if this offset is the tail" }),
      "producer-id": Schema.optionalKey(Schema.String).annotate({
        description: "Append once, however often it is sent: who sends it; with producer-epoch and producer-seq"
      }),
      "producer-epoch": Schema.optionalKey(Schema.String).annotate({ description: "Which of the producer's lives" }),
      "producer-seq": Schema.optionalKey(Schema.String).annotate({ description: "Which append of that life, from 0" }),
      "stream-seq": Schema.optionalKey(Schema.String).annotate({
        description: "Append only if this is greater, byte for byte, than that of every append before"
      }),
      "stream-closed": Schema.optionalKey(Schema.String).annotate({
        description: "true: close the stream with these events"
      })
    },
    payload: [
      Schema.Struct({ data: Schema.Json }),
      Schema.String.pipe(HttpApiSchema.asText({ contentType: "application/x-ndjson" })).annotate({
        description: "Every line is one event's data; the request is one commit"
      })
    ],
    success: [
      StreamEvent.pipe(HttpApiSchema.status(201)),
      AppendReceipt.pipe(HttpApiSchema.status(201)),
      AppendRepeated.pipe(HttpApiSchema.status(200))
    ],
    error: [
      invalid,
      refused,
      Problem(409, "The stream is closed, of another type, or the sequence or the producer's number does not follow"),
      Problem(410, "The stream was deleted, and is kept for its forks"),
      Problem(412, "If-Match or If-None-Match does not hold; `tail` names the tail"),
      Problem(413, "The body is too large"),
      Problem(415, "Neither application/json nor application/x-ndjson"),
      Problem(422, "Refused by the hook that `hookId` names"),
      Problem(429, "The stream knows as many producers as it may"),
      failed,
      Problem(503, "Too much is waiting for the disk, or it cannot be used now"),
      Problem(507, "The disk is full, or there are as many streams as there may be")
    ]
  }).annotate(OpenApi.Summary, "Appends; the first append makes the stream"),
  HttpApiEndpoint.get("subscribe", "/streams/:name", {
    params: name,
    query: {
      ...start,
      lastEventId: Schema.optionalKey(Schema.String).annotate({
        description: "The same as Last-Event-ID, for clients that cannot set headers"
      })
    },
    headers: {
      "last-event-id": Schema.optionalKey(Schema.String).annotate({ description: "Resume after this offset" }),
      "stream-life": Schema.optionalKey(Schema.String).annotate({ description: "The same as the parameter life" })
    },
    success: [
      Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/event-stream" })),
      HttpApiSchema.NoContent.annotate({ description: "A resume at the end of a closed stream: there is no more" })
    ],
    error: [
      invalid,
      refused,
      lost,
      failed,
      Problem(503, "The stream has as many followers as it may have, or the disk cannot be used now")
    ]
  }).annotate(OpenApi.Summary, "Follows the stream (Server-Sent Events), from now on unless told otherwise"),
  HttpApiEndpoint.get("events", "/streams/:name/events", {
    params: name,
    query: { ...start, limit: Schema.optionalKey(Schema.FiniteFromString) },
    success: Schema.Struct({ events: Schema.Array(StreamEvent) }),
    error: [invalid, refused, unknown, lost, failed, unavailable]
  }).annotate(OpenApi.Summary, "Reads what is there, and ends"),
  HttpApiEndpoint.delete("delete", "/streams/:name", {
    params: name,
    success: HttpApiSchema.NoContent,
    error: [invalid, refused, unknown, Problem(412, "If-Match or If-None-Match does not hold"), failed, unavailable]
  }).annotate(OpenApi.Summary, "Deletes the stream; its followers are told and ended")
)

/** The server itself. */
export const server = HttpApiGroup.make("server").add(
  HttpApiEndpoint.get("health", "/health", {
    success: Health,
    error: Health.pipe(HttpApiSchema.status(503)).annotate({
      description: "Nothing can be stored now: `reason` says why"
    })
  }).annotate(OpenApi.Summary, "Who this server is")
)
