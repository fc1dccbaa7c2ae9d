/**
 * Refusals because of a stream as a whole: it does not exist, exists already, or has ended. Browser-safe: imports nothing but
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

/** The stream exists with another configuration; `difference` names the part that differs. */
export class StreamExists extends Refusal<StreamExists>()(
  "StreamExists",
  { stream: Schema.String, difference: Schema.String },
  { status: 409, title: "The stream exists" }
) {
  override get message() {
    return `There is a stream named ${quoted(this.stream)} already, and it differs in ${this.difference}.`
  }
}

/** The stream takes no more events. `tail` is the offset that the next one would have. */
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

/** A writer deleted the stream while a follower read it. */
export class StreamDeleted extends Refusal<StreamDeleted>()(
  "StreamDeleted",
  { stream: Schema.String },
  { status: 410, title: "The stream was deleted" }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted.`
  }
}

/** The stream is deleted and kept only for its forks; its name is free again when the last of them is deleted. */
export class StreamGone extends Refusal<StreamGone>()(
  "StreamGone",
  { stream: Schema.String },
  { status: 410, title: "The stream was deleted", exitCode: exitCodes.conflict }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted; it is kept only for the forks that read it.`
  }
}

/** The source of a fork is deleted and kept only for other forks. */
export class SourceGone extends Refusal<SourceGone>()(
  "SourceGone",
  { stream: Schema.String },
  { status: 409, title: "The source was deleted" }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was deleted; it cannot be forked any more.`
  }
}

/** The server has as many streams as it may. The existing streams go on. */
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
