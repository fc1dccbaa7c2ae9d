/**
 * Reads of a whole stream. Every read counts its bytes, and the first of each kind checks every event, so that the
 * measured bytes are known to be the whole stream, in order.
 */
import * as fs from "node:fs"
import * as http from "node:http"

export interface Read {
  readonly bytes: number
  readonly headers: http.IncomingHttpHeaders
  /** The time from the request to the first byte of the body. */
  readonly firstByteMillis: number
}

/** Reads an answer to its end, or the given number of bytes of an endless one, and passes on the chunks. */
export const read = (
  port: number,
  path: string,
  bytesWanted: number,
  onChunk: (chunk: Buffer, bytes: number) => boolean = () => false
): Promise<Read> =>
  new Promise((resolve, reject) => {
    let bytes = 0
    let firstByteMillis = 0
    const from = performance.now()
    const request = http.get(
      { host: "127.0.0.1", port, path, agent: false, signal: AbortSignal.timeout(millisMax) },
      (response) => {
        if (response.statusCode !== 200) return reject(new Error(`${path} answered ${response.statusCode}.`))
        const { headers } = response
        response.on("data", (chunk: Buffer) => {
          if (bytes === 0) firstByteMillis = performance.now() - from
          bytes += chunk.length
          if (bytes > bytesWanted + commentBytesMax) {
            reject(new Error(`${path} sent ${bytes} bytes, more than the ${bytesWanted} expected.`))
          }
          if (onChunk(chunk, bytes) || bytes >= bytesWanted) {
            resolve({ bytes: Math.min(bytes, bytesWanted), headers, firstByteMillis })
            request.destroy()
          }
        })
        response.on("end", () => resolve({ bytes, headers, firstByteMillis }))
        response.on("error", (error) => fail(error))
      }
    )
    const fail = (error: Error) =>
      reject(error.name === "AbortError" ? new Error(`${path} sent only ${bytes} bytes in ${millisMax} ms.`) : error)
    request.on("error", fail)
  })

/**
 * Reads `events` events, writes the answer to a file, and returns the number of bytes. `mark` is a text that every
 * event contains once; if the events are numbered, it stands before the number.
 */
export const readChecked = async (
  port: number,
  path: string,
  events: number,
  { endless, mark, numbered }: { readonly mark: string; readonly numbered: boolean; readonly endless: boolean },
  copy: string
): Promise<number> => {
  const fd = fs.openSync(copy, "w")
  const needle = Buffer.from(mark)
  const markBytes = needle.length + (numbered ? digits : 0)
  let rest: Buffer = Buffer.alloc(0)
  let seen = 0
  let whole = 0
  const { bytes } = await read(port, path, Infinity, (chunk, bytes) => {
    fs.writeSync(fd, chunk)
    const text = Buffer.concat([rest, chunk])
    let end = 0
    for (let at = text.indexOf(needle); at >= 0 && at + markBytes <= text.length; at = text.indexOf(needle, end)) {
      end = at + markBytes
      if (numbered && Number(text.toString("latin1", at + needle.length, end)) !== seen) {
        throw new Error(`${path} sent event ${text.toString("latin1", at, end)} where ${seen} was due.`)
      }
      seen++
    }
    // The last frame is complete when its empty line is there; a comment may follow it.
    const emptyLine = endless && seen === events ? text.indexOf("\n\n", end) : -1
    if (emptyLine >= 0) whole = bytes - (text.length - emptyLine - 2)
    // The end may be the first part of a mark: look at it again.
    rest = Buffer.from(text.subarray(Math.max(end, text.length - markBytes + 1)))
    return emptyLine >= 0
  })
  fs.closeSync(fd)
  if (seen !== events) throw new Error(`${path} sent ${seen} events, and not ${events}.`)
  if (!endless) return bytes
  fs.truncateSync(copy, whole)
  return whole
}

/** The limit of a whole read: comments would keep a read alive for ever that waits for a lost event. */
const millisMax = 20_000

/** A comment of an idle server may follow the last event, in the same piece. */
const commentBytesMax = 32

/** The digits of an offset. */
const digits = 16
