/**
 * Refusals of a change because the stream is not as the writer expects: its type, its tail, its numbers. Browser-safe:
 * imports nothing but `effect`.
 */
import { Schema } from "effect"
import { exitCodes } from "./exit-codes.ts"
import { quoted, Refusal } from "./refusal.ts"
import { Offset } from "./types.ts"

/** What was sent is not of the stream's type. */
export class ContentTypeMismatch extends Refusal<ContentTypeMismatch>()(
  "ContentTypeMismatch",
  { stream: Schema.String, contentType: Schema.String },
  { status: 409, title: "Another content type" }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} holds ${this.contentType} and nothing else.`
  }
}

/** A `Stream-Seq` that is not greater than the last one, byte for byte. */
export class SequenceRegression extends Refusal<SequenceRegression>()(
  "SequenceRegression",
  { stream: Schema.String, last: Schema.String },
  { status: 409, title: "The sequence went back" }
) {
  override get message() {
    return `The sequence must be greater than ${quoted(this.last)}, the last one of ${quoted(this.stream)}.`
  }
}

/** A producer of a newer epoch has written meanwhile; `epoch` is that epoch. */
export class ProducerFenced extends Refusal<ProducerFenced>()(
  "ProducerFenced",
  { stream: Schema.String, producer: Schema.String, epoch: Schema.Int },
  {
    status: 403,
    title: "A newer producer has taken over",
    headers: ({ epoch }) => ({ "producer-epoch": epoch }),
    exitCode: exitCodes.conflict
  }
) {
  override get message() {
    return `The producer ${quoted(this.producer)} is at epoch ${this.epoch} on ${quoted(this.stream)}; ` +
      `to take over, begin epoch ${this.epoch + 1} with sequence 0.`
  }
}

/** An append of this producer before this one never arrived. */
export class ProducerGap extends Refusal<ProducerGap>()(
  "ProducerGap",
  { stream: Schema.String, producer: Schema.String, expected: Schema.Int, received: Schema.Int },
  {
    status: 409,
    title: "A producer's append is missing",
    headers: ({ expected, received }) => ({ "producer-expected-seq": expected, "producer-received-seq": received })
  }
) {
  override get message() {
    return `The producer ${quoted(this.producer)} sent sequence ${this.received}; ${this.expected} is next.`
  }
}

/** The stream knows as many producers as it may; those it knows go on. */
export class TooManyProducers extends Refusal<TooManyProducers>()(
  "TooManyProducers",
  { stream: Schema.String, limit: Schema.Int },
  { status: 429, title: "Too many producers" }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} knows ${this.limit} producers, as many as one may; they go on. ` +
      "Use one of them again with its next epoch, or start the server with a larger --max-producers."
  }
}

/** The caller expected the next event at `expected`, but the tail is `tail`. */
export class TailMismatch extends Refusal<TailMismatch>()(
  "TailMismatch",
  { stream: Schema.String, expected: Offset, tail: Offset },
  { status: 412, title: "The stream has moved on", headers: ({ tail }) => ({ "stream-next-offset": tail }) }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} has moved on: the tail is ${this.tail}, not ${this.expected}.`
  }
}

/** `If-Match` or `If-None-Match` does not hold for the stream; `tail` is where it stands, if it is there. */
export class PreconditionFailed extends Refusal<PreconditionFailed>()(
  "PreconditionFailed",
  { stream: Schema.String, tail: Schema.optionalKey(Offset) },
  { status: 412, title: "A precondition does not hold", headers: ({ tail }) => ({ "stream-next-offset": tail }) }
) {
  override get message() {
    const stands = this.tail === undefined ? "there is no such stream" : `its tail is ${this.tail}`
    return `The stream ${quoted(this.stream)} is not as If-Match or If-None-Match wants it: ${stands}.`
  }
}
