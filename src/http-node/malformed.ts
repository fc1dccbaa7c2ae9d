/**
 * Chooses the status and the sentence for a request that Node's parser refuses. The parser says at which byte it stopped,
 * and the line of that byte says more.
 */
import { maxHeaderSize } from "node:http"
import type { ClientError } from "./turns.ts"

interface MalformedRefusal {
  readonly status: number
  readonly title: string
  readonly detail: string
}

export const toRefusal = (error: ClientError): MalformedRefusal => {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW":
      return {
        status: 431,
        title: "Request Header Fields Too Large",
        detail: `The request line and the headers are larger than ${maxHeaderSize / 1024} KiB together. Send fewer, ` +
          "or shorter ones; cookies mean nothing here."
      }
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { status: 413, title: "Content Too Large", detail: "The chunk extensions are too large. Leave them out." }
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, title: "Request Timeout", detail: "The request did not arrive in time. Send it again." }
    case "HPE_INVALID_METHOD":
      if (requestLine.test(findLine(error))) {
        return {
          status: 501,
          title: "Not Implemented",
          detail: "This method is served nowhere here. See /docs for what is."
        }
      }
      break
    case "HPE_INVALID_VERSION":
      if (requestLine.test(findLine(error))) return unsupportedVersion
  }
  return { status: 400, title: "Bad Request", detail: "This is not a complete HTTP/1.1 request." }
}

const unsupportedVersion: MalformedRefusal = {
  status: 505,
  title: "HTTP Version Not Supported",
  detail: "This server speaks HTTP/1.1 and HTTP/1.0. Send the request as one of them."
}

/** A whole request line, with any method and version (RFC 9112 3). */
const requestLine = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+ HTTP\/\d\.\d\r?$/

/** Returns the line in which the parser stopped. */
const findLine = ({ bytesParsed = 0, rawPacket = Buffer.alloc(0) }: ClientError): string => {
  const start = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf(10, bytesParsed - 1) + 1
  const end = rawPacket.indexOf(10, bytesParsed)
  return rawPacket.subarray(start, end < 0 ? rawPacket.length : end).toString("latin1")
}
