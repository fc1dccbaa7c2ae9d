/**
 * `fetch` as a page of some origin has it (Fetch 4.8, CORS): it asks the server before it sends a request that no form
 * could send, fails if the page is not let in, and hides the headers that the page may not read.
 */

export const fetchOf = (origin: string) => async (input: string | URL | Request, init?: RequestInit) => {
  const request = new Request(input, init)
  const { method, url } = request
  const asked = [...request.headers].filter(([name, value]) => !isSimple(name, value)).map(([name]) => name)
  if (asked.length > 0 || !["GET", "HEAD", "POST"].includes(method)) {
    const preflight = await fetch(url, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": method,
        "access-control-request-headers": asked.toSorted().join(",")
      }
    })
    const methods = listOf(preflight, "access-control-allow-methods")
    const headers = listOf(preflight, "access-control-allow-headers")
    if (!preflight.ok || !isLetIn(preflight, origin)) throw new TypeError(`${origin} is not let in to ${url}`)
    if (!methods.includes(method.toLowerCase())) throw new TypeError(`${method} is not allowed to pages`)
    const refused = asked.filter((name) => !headers.includes(name))
    if (refused.length > 0) throw new TypeError(`The headers ${refused.join(", ")} are not allowed to pages`)
  }
  request.headers.set("origin", origin)
  const answer = await fetch(request)
  if (!isLetIn(answer, origin)) throw new TypeError(`${origin} is not let in to ${url}`)
  const readable = [...alwaysReadable, ...listOf(answer, "access-control-expose-headers")]
  return new Response(answer.body, {
    status: answer.status,
    headers: [...answer.headers].filter(([name]) => readable.includes(name))
  })
}

/** Whether any page may send the header without asking (Fetch 2.2.2). */
const isSimple = (name: string, value: string): boolean =>
  ["accept", "accept-language", "content-language"].includes(name) ||
  (name === "content-type" &&
    /^(?:application\/x-www-form-urlencoded|multipart\/form-data|text\/plain)(?:;|$)/.test(value))

/** The headers of an answer that every page may read. */
const alwaysReadable = [
  "cache-control",
  "content-language",
  "content-length",
  "content-type",
  "expires",
  "last-modified",
  "pragma"
]

const isLetIn = (answer: Response, origin: string): boolean =>
  ["*", origin].includes(answer.headers.get("access-control-allow-origin") ?? "")

const listOf = (answer: Response, name: string): ReadonlyArray<string> =>
  (answer.headers.get(name) ?? "").toLowerCase().split(",").map((part) => part.trim())
