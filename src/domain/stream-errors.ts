/**
 * Refusals of a stream as a whole: it is not there, is there already, or has ended. Browser-safe: imports nothing but
 * `effect`.
 */
import { Schema } from "effect"
import { exitCodes } from "./exit-codes.ts"
import { quoted, Refusal } from "./refusal.ts"
import { Offset } from "./types.ts"

export class StreamNotFound extends Refusal<StreamNotFound>()(
  "StreamNotFound",
  { stream: Schema.String },
  { status: 404, title: "No such stream" }
) {
  override get message() {
    return `There is no stream named ${quoted(this.stream)}. The first append makes it.`
  }
}

/** A stream of that name was made otherwise; `difference` names what differs. */
export class StreamExists extends Refusal<StreamExists>()(
  "StreamExists",
  { stream: Schema.String, difference: Schema.String },
  { status: 409, title: "The stream exists" }
) {
  override get message() {
    return `There is a stream named ${quoted(this.stream)} already, and it differs in ${this.difference}.`
  }
}

/** Nothing more can be appended. `tail` is the offset the next event would have had. */
export class StreamClosed extends Refusal<StreamClosed>()(
  "StreamClosed",
  { stream: Schema.String, tail: Offset },
  {
    status: 409,
    title: "The stream is closed",
    headers: ({ tail }) => ({ "stream-closed": "true", "stream-next-offset": tail })
  }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} is closed; its tail is ${this.tail}.`
  }
}

/** The stream a follower was reading was deleted. */
export class StreamDeleted extends Refusal<StreamDeleted>()(
  "StreamDeleted",
  { stream: Schema.String },
  { status: 410, title: "The stream was deleted" }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted.`
  }
}

/** The stream was deleted and is kept only for its forks; its name is free again when the last of them is deleted. */
export class StreamGone extends Refusal<StreamGone>()(
  "StreamGone",
  { stream: Schema.String },
  { status: 410, title: "The stream was deleted", exitCode: exitCodes.conflict }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted; it is kept only for the forks that read it.`
  }
}

/** What is to be forked was deleted and is kept only for other forks. */
export class SourceGone extends Refusal<SourceGone>()(
  "SourceGone",
  { stream: Schema.String },
  { status: 409, title: "The source was deleted" }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted; it cannot be forked any more.`
  }
}

/** There are as many streams as there may be; they go on. */
export class TooManyStreams extends Refusal<TooManyStreams>()(
  "TooManyStreams",
  { limit: Schema.Int },
  { status: 507, title: "Too many streams" }
) {
  override get message() {
    return `This server keeps as many streams as it may (${this.limit}); they go on. ` +
      "Delete one, or start the server with a larger --max-streams."
  }
}
