/**
 * Refusals of a place in a stream: the stream that is there now never gave it to a reader (promise 10;
 * docs/decisions/0013-lives.md).
 */
import { Schema } from "effect"
import { refusals } from "./errors.ts"
import { Offset, toOffset } from "./types.ts"

/**
 * A reader asked for a place that this stream has not come to yet. Servers give out no such place, so the reader has it
 * from an earlier life of the stream, or from before the stream was restored from a copy (decision 13). The next event
 * will have the offset `tail`; `life` is the stream's, if there is one.
 */
export class OffsetBeyondTail extends Schema.TaggedError<OffsetBeyondTail>()(
  "OffsetBeyondTail",
  { stream: Schema.String, offset: Offset, tail: Offset, life: Schema.optionalKey(Schema.String) },
  { httpApiStatus: refusals.OffsetBeyondTail.status }
) {
  override get message() {
    return this.life === undefined
      ? `There is no stream named ${quoted(this.stream)}, so nothing is at offset ${this.offset}. ` +
        "Follow it from -1 to wait for its first event."
      : `The stream ${quoted(this.stream)} ends at offset ${this.tail}, before ${this.offset}: it was made again, or ` +
        "restored from a copy. Read it from -1 for all that there is now."
  }
}

/**
 * A reader named the life that its offset belongs to, and the stream has another one: it was deleted and made again, or it
 * was in the memory of a server that was restarted. `life` and `tail` are those of the stream that is there now.
 */
export class OtherLife extends Schema.TaggedError<OtherLife>()(
  "OtherLife",
  { stream: Schema.String, offset: Offset, tail: Offset, life: Schema.String },
  { httpApiStatus: refusals.OtherLife.status }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was made again; the offset ${this.offset} belongs to its earlier life. ` +
      "Read it from -1 for all that there is now."
  }
}

/** The refusal of `offset` by a stream whose tail is `tail`; `life` is undefined when there is no stream. */
export const beyondTail = (
  stream: string,
  offset: number,
  tail: number,
  life: string | undefined
): OffsetBeyondTail =>
  new OffsetBeyondTail({
    stream,
    offset: toOffset(offset),
    tail: toOffset(tail),
    ...(life === undefined ? undefined : { life })
  })

const quoted = (text: string) => JSON.stringify(text)
