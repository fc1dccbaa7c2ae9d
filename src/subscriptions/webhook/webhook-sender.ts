/**
 * One call of a webhook: a connection of its own, to an address that is looked up and judged for this call. It follows no
 * redirect, reads the answer up to a limit, and takes a limited time.
 */
import { Context, Data, Effect, Layer } from "effect"
import { lookup, type LookupAddress, type LookupAllOptions } from "node:dns"
import { type IncomingMessage, request as requestHttp } from "node:http"
import { request as requestHttps } from "node:https"
import { isIP, type LookupFunction } from "node:net"
import { isOwn, type Own, OwnAddress, ownFault } from "./own-address.ts"
import { hostOf, mayConnect, urlFault } from "./webhook-target.ts"

/** The call did not reach the webhook, or its answer was no success. `message` is for the log: it holds no token. */
export class WebhookFailed extends Data.TaggedError("WebhookFailed")<{ readonly message: string }> {}

/** Long enough for an endpoint that starts up first; one that works longer answers at once and calls back. */
const webhookTimeLimit = "10 seconds"

/** The bytes that are read of an answer: it can say no more than `{"done":true}`. */
export const answerBytesMax = 64 * 1024

export class WebhookSender extends Context.Service<WebhookSender, {
  /** The fault of a URL as a sentence; undefined if a subscription may name it. */
  readonly fault: (url: string) => string | undefined
  /** Posts JSON; returns the body of a successful answer, or an empty one if that is too long. */
  readonly post: (
    url: string,
    body: string,
    headers: Readonly<Record<string, string>>
  ) => Effect.Effect<string, WebhookFailed>
}>()("durable-streams/subscriptions/webhook/webhook-sender/WebhookSender") {
  /** `development` allows http to this machine's loopback. `resolve` finds the addresses of a name. */
  static readonly layer = (development: boolean, resolve: Resolve = lookup): Layer.Layer<WebhookSender> =>
    Layer.effect(
      WebhookSender,
      Effect.map(OwnAddress, (own) => make(own, development, resolve))
    )
}

const make = (own: Own, development: boolean, resolve: Resolve) => {
  const fault = (text: string) => urlFault(text, development) ?? ownFault(new URL(text), own)
  return WebhookSender.of({
    fault,
    post: (text, body, headers) =>
      Effect.suspend(() => {
        // A URL that was allowed when the subscription was made may be refused since: the server may have other settings.
        const message = fault(text)
        if (message !== undefined) return Effect.fail(new WebhookFailed({ message }))
        return post(new URL(text), own, body, headers, resolve)
      }).pipe(
        Effect.timeoutOrElse({
          duration: webhookTimeLimit,
          orElse: () =>
            Effect.fail(new WebhookFailed({ message: `The webhook did not answer within ${webhookTimeLimit}.` }))
        })
      )
  })
}

/** `dns.lookup`, as far as it is used here. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: Array<LookupAddress>) => void
) => void

const post = (url: URL, own: Own, body: string, headers: Readonly<Record<string, string>>, resolve: Resolve) =>
  Effect.callback<string, WebhookFailed>((resume, signal) => {
    const fail = (message: string) => resume(Effect.fail(new WebhookFailed({ message })))
    const host = hostOf(url)
    // A connection to an address needs no lookup.
    if (isIP(host) !== 0 && !mayConnect(url, host)) return fail(`The address ${host} is not to be called.`)
    const bytes = Buffer.from(body)
    const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, {
      method: "POST",
      // No pool: no later call uses this connection, to this host or to another.
      agent: false,
      lookup: lookupFor(url, own, resolve),
      signal,
      headers: {
        ...headers,
        "content-type": "application/json",
        "content-length": bytes.length,
        "user-agent": "durable-streams"
      }
    })
    request.on("error", (error) => fail(`The webhook could not be reached: ${error.message}`))
    request.on("response", (answer) => {
      const status = answer.statusCode ?? 0
      if (status < 200 || status > 299) {
        request.destroy()
        return fail(`The webhook answered with ${status}.`)
      }
      collect(answer, (text) => {
        resume(Effect.succeed(text))
        request.destroy()
      }, fail)
    })
    request.end(bytes)
  })

const collect = (answer: IncomingMessage, done: (text: string) => void, fail: (message: string) => void): void => {
  const chunks: Array<Buffer> = []
  let length = 0
  answer.on("data", (chunk: Buffer) => {
    length += chunk.length
    if (length > answerBytesMax) return done("")
    chunks.push(chunk)
  })
  answer.on("end", () => done(Buffer.concat(chunks).toString()))
  answer.on("error", (error) => fail(`The webhook's answer broke off: ${error.message}`))
}

/** Looks the name up and returns only addresses that are allowed, so that no change lies between check and use. */
const lookupFor = (url: URL, own: Own, resolve: Resolve): LookupFunction => (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, "")
    const good = addresses.filter(({ address }) => mayConnect(url, address) && !isOwn(url, address, own))
    const first = good[0]
    if (first === undefined) {
      return callback(new Error(`${hostname} stands for no address that a webhook may go to.`), "")
    }
    if (options.all === true) callback(null, good)
    else callback(null, first.address, first.family)
  })
}
