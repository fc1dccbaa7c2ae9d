/**
 * The data of one event: JSON text, kept as the writer sent it, or bytes written as JSON text.
 */
import { parseJson } from "./json-values.ts"

/**
 * One event's data: JSON text as the writer sent it, without line breaks. It is held as a string or as a piece of the
 * request's body; the other form and the parsed value are made on demand (hooks ask for them, the read path never does).
 */
export class EventData {
  #text: string | undefined
  readonly #body: Buffer | undefined
  readonly #start: number
  readonly #end: number
  #value: unknown
  #parsed = false
  /** Whether the data stands for bytes, as in a stream that is not JSON. */
  readonly isBytes: boolean

  private constructor(text: string | undefined, isBytes = false, body?: Buffer, start = 0, end = 0) {
    this.#text = text
    this.#body = body
    this.#start = start
    this.#end = end
    this.isBytes = isBytes
  }

  /** From bytes: a JSON string when they are text, else `{"base64":"…"}` (docs/storage-format.md 3). */
  static fromBytes(bytes: Uint8Array): EventData {
    return new EventData(textOf(bytes) ?? `{"base64":"${asBuffer(bytes).toString("base64")}"}`, true)
  }

  /** From a value; throws a `TypeError` for a value that JSON cannot express (undefined, functions, BigInt, cycles). */
  static fromValue(value: unknown): EventData {
    const text = JSON.stringify(value)
    if (text === undefined) throw new TypeError("An event's data must be a JSON value.")
    return new EventData(text)
  }

  /** From JSON text; throws a `SyntaxError` when the text is not JSON. A line break between tokens becomes a space. */
  static fromText(text: string): EventData {
    JSON.parse(text)
    return EventData.fromChecked(text)
  }

  /** From JSON text that is already known to be valid. */
  static fromChecked(text: string): EventData {
    // In valid JSON a raw line break can only stand between tokens.
    return new EventData(text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]/g, " ") : text)
  }

  /** From a piece of a body that is known to be UTF-8 and JSON on one line. The caller must not change the body. */
  static fromPiece(body: Buffer, start: number, end: number): EventData {
    return new EventData(undefined, false, body, start, end)
  }

  get text(): string {
    return this.#text ??= this.#body!.toString("utf8", this.#start, this.#end)
  }

  get value(): unknown {
    if (!this.#parsed) {
      this.#value = parseJson(this.text)
      this.#parsed = true
    }
    return this.#value
  }

  /** Bytes of the text as UTF-8. */
  get byteLength(): number {
    return this.#body === undefined ? Buffer.byteLength(this.#text!) : this.#end - this.#start
  }

  /** Writes the text as UTF-8 and returns its length in bytes. */
  copyTo(target: Buffer, at: number): number {
    return this.#body === undefined
      ? target.write(this.#text!, at)
      : this.#body.copy(target, at, this.#start, this.#end)
  }
}

/** The bytes of event data that `fromBytes` made, from its text in UTF-8: by position, nothing is parsed. */
export const bytesOf = (text: Uint8Array): Uint8Array => {
  const source = asBuffer(text)
  if (source[0] !== quote) {
    return Buffer.from(source.toString("latin1", base64Lead.length, source.length - 2), "base64")
  }
  const inside = source.subarray(1, source.length - 1)
  return inside.includes(backslash) ? unescaped(inside) : inside
}

/** The bytes that a value of event data stands for; undefined when it stands for none. */
export const valueToBytes = (value: unknown): Uint8Array | undefined => {
  if (typeof value === "string") return value.isWellFormed() ? Buffer.from(value) : undefined
  if (typeof value !== "object" || value === null || !("base64" in value)) return undefined
  const { base64 } = value
  if (typeof base64 !== "string" || Object.keys(value).length !== 1) return undefined
  const bytes = Buffer.from(base64, "base64")
  return bytes.toString("base64") === base64 ? bytes : undefined
}

const base64Lead = `{"base64":"`
const quote = 0x22
const backslash = 0x5c

/** The bytes as a JSON string; undefined when they are not UTF-8, or hold control characters that take six bytes. */
const textOf = (bytes: Uint8Array): string | undefined => {
  const source = asBuffer(bytes)
  const text = source.toString()
  // Bytes that are not UTF-8 come back as others. A strict decoder would throw, which costs ten times as much as all this.
  if (text.includes("\ufffd") && !Buffer.from(text).equals(source)) return undefined
  // oxlint-disable-next-line no-control-regex -- it looks for control characters
  return /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.test(text) ? undefined : JSON.stringify(text)
}

/** Every escape in such a string has two characters. */
const unescaped = (inside: Buffer): Uint8Array => {
  const target = Buffer.allocUnsafe(inside.length)
  let to = 0
  for (let from = 0; from < inside.length;) {
    const escape = inside.indexOf(backslash, from)
    const end = escape < 0 ? inside.length : escape
    to += inside.copy(target, to, from, end)
    if (escape < 0) break
    const letter = inside[escape + 1]!
    target[to++] = letter === 0x6e ? 0x0a : letter === 0x74 ? 0x09 : letter === 0x72 ? 0x0d : letter
    from = escape + 2
  }
  return target.subarray(0, to)
}

/** The same bytes with the methods of a `Buffer`. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
