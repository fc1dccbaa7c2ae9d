/**
 * Refusals of a place in a stream: the stream that is there now never gave it to a reader (promise 10;
 * docs/decisions/0013-lives.md).
 */
import { Schema } from "effect"
import { quoted, Refusal } from "./refusal.ts"
import { Offset } from "./types.ts"

/**
 * A reader asked for a place that this stream has not come to yet. Servers give out no such place, so the reader has it
 * from an earlier life of the stream, or from before the stream was restored from a copy (decision 13). The next event
 * will have the offset `tail`; `life` is the stream's, if there is one.
 */
export class OffsetBeyondTail extends Refusal<OffsetBeyondTail>()(
  "OffsetBeyondTail",
  { stream: Schema.String, offset: Offset, tail: Offset, life: Schema.optionalKey(Schema.String) },
  {
    status: 410,
    title: "The stream does not reach that far",
    headers: ({ life, tail }) => ({ "stream-next-offset": tail, "stream-life": life })
  }
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
export class OtherLife extends Refusal<OtherLife>()(
  "OtherLife",
  { stream: Schema.String, offset: Offset, tail: Offset, life: Schema.String },
  {
    status: 410,
    title: "Another stream of that name",
    headers: ({ life, tail }) => ({ "stream-next-offset": tail, "stream-life": life })
  }
) {
  override get message() {
    return `The stream ${quoted(this.stream)} was made again; the offset ${this.offset} belongs to its earlier life. ` +
      "Read it from -1 for all that there is now."
  }
}
