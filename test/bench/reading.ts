/**
 * Reads of a whole stream: bytes are counted in every one, and in the first of each kind every event is looked at, so
 * that what is measured is known to be all of it, in order.
 */
import * as fs from "node:fs"
import * as http from "node:http"

export interface Read {
  readonly bytes: number
  readonly headers: http.IncomingHttpHeaders
  /** From asking until the first byte of the body. */
  readonly firstByteMillis: number
}

/** Reads an answer to its end, or to so many bytes of one that has no end, and hands on what comes. */
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
        response.on("error", (error) => failed(error))
      }
    )
    const failed = (error: Error) =>
      reject(error.name === "AbortError" ? new Error(`${path} sent only ${bytes} bytes in ${millisMax} ms.`) : error)
    request.on("error", failed)
  })

/**
 * Reads so many events, writes the answer to a file, and tells how many bytes they are. `mark` is what stands before
 * the number of every event, if they are numbered, and once in every event at any rate.
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
    // The last frame is whole when its empty line is there; a comment may come behind it.
    const emptyLine = endless && seen === events ? text.indexOf("\n\n", end) : -1
    if (emptyLine >= 0) whole = bytes - (text.length - emptyLine - 2)
    // What may be the first part of a mark is looked at again.
    rest = Buffer.from(text.subarray(Math.max(end, text.length - markBytes + 1)))
    return emptyLine >= 0
  })
  fs.closeSync(fd)
  if (seen !== events) throw new Error(`${path} sent ${seen} events, and not ${events}.`)
  if (!endless) return bytes
  fs.truncateSync(copy, whole)
  return whole
}

/** For the whole of a read: one that waits for what is lost is kept awake by comments and would never end. */
const millisMax = 20_000

/** A comment of a server that had nothing to say may come behind the last event, in the same piece. */
const commentBytesMax = 32

/** Of an offset. */
const digits = 16
