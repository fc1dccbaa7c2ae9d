/**
 * Every combination of host, origin, site, media type, method and route, and whether the server must allow it. The
 * correct decision stands beside each value here; this file does not use the server's own rules.
 */

export interface Combination {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  /**
   * Whether the server must allow it. The server answers every preflight; a preflight counts as allowed only if its
   * answer allows the origin.
   */
  readonly isAllowed: boolean
  readonly isPreflight: boolean
  readonly origin: string | undefined
}

type Judged = readonly [value: string | undefined, isAllowed: boolean]

const yes = (value: string | undefined): Judged => [value, true]
const no = (value: string): Judged => [value, false]

/** `{port}` stands for the server's own port, and `friend` for the origin that was allowed by name. */
const hosts: ReadonlyArray<Judged> = [
  ...["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "LOCALHOST", "localhost:1"].map(yes),
  ...["evil.test:{port}", "evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "evil.localhost", "localhost."]
    .map(no),
  ...["0.0.0.0:{port}", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost:3000@evil.test", ""].map(no)
]

export const friend = "https://friend.test"

const origins: ReadonlyArray<Judged> = [
  ...[undefined, friend, "http://localhost:5173", "http://127.0.0.1:{port}", "http://[::1]:1"].map(yes),
  ...[
    "null",
    "https://evil.test",
    "http://evil.test:{port}",
    `${friend}.evil.test`,
    `${friend}:444`,
    "http://friend.test"
  ].map(no),
  ...["http://localhost.evil.test", "http://evil.localhost", "http://localhost@evil.test", `${friend}/`, "file://", "*"]
    .map(no)
]

/** Counts only if the request names no origin. */
const sites: ReadonlyArray<Judged> = [
  ...[undefined, "none", "same-origin"].map(yes),
  ...["cross-site", "same-site"].map(no)
]

const types = [undefined, "application/json", "text/plain", "application/x-www-form-urlencoded"]

const routes: ReadonlyArray<readonly [method: string, target: string, body?: string]> = [
  ["GET", "/streams"],
  ["GET", "/streams/secret/events"],
  ["HEAD", "/streams/secret/events"],
  ["POST", "/streams/secret", `{"data":"evil"}`],
  ["POST", "/streams/planted", `{"data":"evil"}`],
  ["DELETE", "/streams/secret"],
  ["OPTIONS", "/streams/secret"],
  ["PREFLIGHT", "/streams/secret"],
  ["GET", "/health"],
  ["GET", "/openapi.json"],
  ["GET", "/docs"],
  ["GET", "/nothing"],
  ["PUT", "/v1/stream/planted", "evil"],
  ["POST", "/v1/stream/secret", `"evil"`],
  ["GET", "/v1/stream/secret?offset=-1"],
  ["HEAD", "/v1/stream/secret"],
  ["DELETE", "/v1/stream/secret"],
  ["PUT", "/v1/stream/__ds/subscriptions/evil", `{"type":"pull-wake","pattern":"**","wake_stream":"planted"}`],
  ["GET", "/v1/stream/__ds/jwks.json"],
  ["GET", "/streams/secret?offset=-1"],
  ["GET", "/v1/stream/secret?offset=-1&live=sse"]
]

export function* table(port: number): Iterable<Combination> {
  const here = (text: string) => text.replace("{port}", String(port))
  for (const [host, hostAllowed] of hosts) {
    for (const [origin, originAllowed] of origins) {
      for (const [site, siteAllowed] of sites) {
        for (const type of types) {
          for (const [method, target, body] of routes) {
            if (body === undefined && type !== undefined) continue
            const isPreflight = method === "PREFLIGHT"
            yield {
              method: isPreflight ? "OPTIONS" : method,
              target,
              headers: {
                Host: here(host!),
                ...(origin === undefined ? {} : { Origin: here(origin) }),
                ...(site === undefined ? {} : { "Sec-Fetch-Site": site }),
                ...(type === undefined ? {} : { "Content-Type": type }),
                ...(isPreflight ? { "Access-Control-Request-Method": "POST" } : {})
              },
              body,
              isAllowed: hostAllowed && (origin === undefined ? siteAllowed : originAllowed),
              isPreflight: isPreflight && origin !== undefined && hostAllowed,
              origin: origin === undefined ? undefined : here(origin)
            }
          }
        }
      }
    }
  }
}
