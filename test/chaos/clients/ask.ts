/**
 * Requests of a client that must know exactly what the server answered: no retry, no redirect, no hidden limit.
 */
import * as http from "node:http"

export interface Asked {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

export interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly agent?: http.Agent
}

/** Far longer than any request here takes: after this time, a request counts as not answered. */
export const patienceMillis = 20_000

/**
 * Returns the whole answer; undefined if there is none or it is cut short. Status 0: no server listened, and nothing
 * was sent.
 */
export const ask = (port: number, path: string, { agent, body, headers, method = "GET" }: Asking = {}) =>
  new Promise<Asked | undefined>((resolve) => {
    const request = http.request({
      host: "127.0.0.1",
      port,
      path,
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }) },
      ...(agent === undefined ? {} : { agent })
    })
    const nothing = () => resolve(undefined)
    request.setTimeout(patienceMillis, () => request.destroy())
    request.on(
      "error",
      (error: NodeJS.ErrnoException) =>
        resolve(error.code === "ECONNREFUSED" ? { status: 0, headers: {}, text: "" } : undefined)
    )
    request.on("response", (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("error", nothing)
      response.on("close", () =>
        resolve(
          response.complete
            ? { status: response.statusCode!, headers: response.headers, text: Buffer.concat(chunks).toString() }
            : undefined
        ))
    })
    request.end(body)
  })
