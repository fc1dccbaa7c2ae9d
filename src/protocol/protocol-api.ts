/**
 * The Durable Streams Protocol as a group of an `HttpApi`, for `/openapi.json` and `/docs` (docs/protocol.md, part B).
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Problem, problems } from "../api/api.ts"

/** Made when a client first asks for the description. */
export const describeProtocol = () =>
  HttpApiGroup.make("protocol").add(
    HttpApiEndpoint.put("createStream", path, {
      params: name,
      headers: {
        "content-type": text("What the stream holds; application/octet-stream if it is left out"),
        "stream-ttl": text("Seconds without use after which the stream is deleted"),
        "stream-expires-at": text("When the stream is deleted: RFC 3339"),
        "stream-closed": text("true: close the stream at once"),
        "stream-forked-from": text("The path of a stream whose events the new one begins with"),
        "stream-fork-offset": text("Where the fork leaves its source; its tail if it is left out"),
        "stream-fork-sub-offset": text("How many messages of the event at that offset the fork has, too"),
        ...conditions
      },
      payload: bytes("The first events"),
      success: [empty(201, "Made"), empty(200, "It was there, and was made so")],
      error: [
        invalid,
        refused,
        Problem(404, "The stream to fork is not there"),
        Problem(409, "There is another stream of this name, or the source cannot be forked so"),
        failedCondition,
        tooLarge,
        encoded,
        failed,
        unavailable,
        full
      ]
    }).annotate(OpenApi.Summary, "Makes a stream, or confirms it"),
    HttpApiEndpoint.post("appendToStream", path, {
      params: name,
      headers: {
        "content-type": text("The stream's own content type"),
        "stream-seq": text("Append only if this is greater, byte for byte, than that of every append before"),
        "stream-closed": text("true: close the stream with this append; its body may be empty"),
        "producer-id": text("Append once, however often it is sent; with producer-epoch and producer-seq"),
        "producer-epoch": text("Which life of the producer"),
        "producer-seq": text("Which append of that life, from 0"),
        ...conditions
      },
      payload: bytes("One event; a JSON array is an event for each of its elements"),
      success: [empty(204, "Appended, or a repetition"), empty(200, "Appended by a producer")],
      error: [
        invalid,
        Problem(403, "Not allowed, or the producer's epoch is over"),
        unknown,
        Problem(409, "The stream is closed, of another type, or the sequence or the producer's number does not follow"),
        deleted,
        failedCondition,
        tooLarge,
        encoded,
        Problem(422, "Refused by the hook that `hookId` names"),
        Problem(429, "The stream knows as many producers as it may"),
        failed,
        unavailable,
        full
      ]
    }).annotate(OpenApi.Summary, "Appends"),
    HttpApiEndpoint.get("readStream", path, {
      params: name,
      query: {
        offset: text("Where to begin: -1, now, or an offset that was answered"),
        live: Schema.optionalKey(Schema.Literals(["long-poll", "sse"])).annotate({
          description: "Follow the stream; with offset"
        }),
        cursor: text("The Stream-Cursor of the answer before"),
        limit: number("At most so many events"),
        tail: number("Only the last N events"),
        since: text("Only events created since then: RFC 3339, or a duration such as 10m"),
        life: text("The life of the stream that the offset is of, as Stream-Life says it")
      },
      headers: {
        "if-none-match": text("The ETag of an answer that the client has"),
        "last-event-id": text("Resume after this offset; with live=sse"),
        "stream-life": text("The same as the parameter life")
      },
      success: [
        HttpApiSchema.StreamUint8Array({ contentType: "application/octet-stream" }).annotate({
          description: "What was there, in the stream's content type; an array of messages if that is JSON"
        }),
        empty(204, "A long-poll ended without news, or there is no more"),
        empty(304, "The client has it")
      ],
      error: [invalid, refused, unknown, lost, failedCondition, failed, unavailable]
    }).annotate(OpenApi.Summary, "Reads from an offset on, or follows"),
    HttpApiEndpoint.head("describeStream", path, {
      params: name,
      success: empty(200, "Content type, tail, life, and whether it is closed, as headers"),
      error: [invalid, refused, unknown, deleted, failed, unavailable]
    }).annotate(OpenApi.Summary, "Says what the stream is"),
    HttpApiEndpoint.delete("deleteStream", path, {
      params: name,
      headers: conditions,
      success: HttpApiSchema.NoContent,
      error: [invalid, refused, unknown, deleted, failedCondition, failed, unavailable]
    }).annotate(OpenApi.Summary, "Deletes the stream; a fork keeps what it has of it")
  ).annotateMerge(OpenApi.annotations({
    title: "Durable Streams Protocol",
    description: "The same streams for every client of the protocol: https://github.com/durable-streams/durable-streams"
  }))

const path = "/v1/stream/:name"

const name = {
  name: Schema.String.annotate({ description: "The stream's name, percent-encoded; slashes may stand as they are" })
}

const text = (description: string) => Schema.optionalKey(Schema.String).annotate({ description })
const number = (description: string) => Schema.optionalKey(Schema.FiniteFromString).annotate({ description })

const conditions = {
  "if-match": text("Only if this offset is the tail; * if the stream is there"),
  "if-none-match": text("*: only if the stream is not there")
}

const bytes = (description: string) =>
  Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array({ contentType: "application/octet-stream" })).annotate({
    description
  })

const empty = (status: number, description: string) => HttpApiSchema.Empty(status).annotate({ description })

const { failed, invalid, lost, refused, unknown } = problems
const deleted = Problem(410, "The stream was deleted, and is kept for its forks")
const failedCondition = Problem(412, "If-Match or If-None-Match does not hold")
const tooLarge = Problem(413, "The body is too large")
const encoded = Problem(415, "The body has a Content-Encoding")
const unavailable = Problem(503, "Too much is waiting, or the disk cannot be used now")
const full = Problem(507, "The disk is full, or there are as many streams as there may be")
