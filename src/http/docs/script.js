// Reads /openapi.json and makes of each operation a description, a form to try it, and a link in the navigation. Text from
// the document and from answers becomes text nodes, never markup.
"use strict";
(() => {
  const METHODS = ["get", "post", "put", "patch", "delete"];
  // What is shown of a long answer.
  const MOST_CHARACTERS = 200_000;
  // Deeper members are named by their type alone.
  const MOST_LEVELS = 6;

  // What the forms share: a token, and the order that was placed last. Kept in this page alone.
  const shared = { token: "", order: "" };
  let api;

  // Elements

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === undefined || value === false) continue;
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== ""));
    return made;
  }

  // The part of Markdown (CommonMark) that descriptions use: paragraphs, lists, code, bold, links.
  function markdown(text) {
    return (text ?? "").trim().split(/\n{2,}/).filter(Boolean).map((block) => {
      const lines = block.split("\n");
      if (!lines[0].startsWith("- ")) return element("p", {}, inline(block));
      const items = block.split(/^- /m).filter((item) => item.trim());
      return element("ul", {}, items.map((item) => element("li", {}, inline(item.trim()))));
    });
  }

  function inline(text) {
    const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)\s]+\))/);
    return parts.map((part) => {
      if (/^`.+`$/s.test(part)) return element("code", {}, part.slice(1, -1));
      if (/^\*\*.+\*\*$/s.test(part)) return element("b", {}, part.slice(2, -2));
      const link = /^\[(.+)\]\((.+)\)$/s.exec(part);
      if (link && /^(https?:\/\/|\/|#)/.test(link[2])) return element("a", { href: link[2] }, link[1]);
      return part;
    });
  }

  // JSON with its kinds of words in colours.
  function highlighted(text) {
    const words = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
    const parts = [];
    let end = 0;
    for (const word of text.matchAll(words)) {
      parts.push(text.slice(end, word.index));
      const [all, string, colon, literal] = word;
      const kind = string ? (colon ? "key" : "string") : literal ? "literal" : "number";
      parts.push(element("span", { class: kind }, string ?? all), colon ?? "");
      end = word.index + all.length;
    }
    return [...parts, text.slice(end)];
  }

  function code(text, label, isJson) {
    return element("pre", { tabindex: 0, role: "group", "aria-label": label }, element("code", {}, isJson ? highlighted(text) : text));
  }

  // JSON to be read: indented, but lists of plain values on one line.
  function pretty(value) {
    if (typeof value === "string") return value;
    const text = JSON.stringify(value, null, 2) ?? "";
    return text.replace(/\[\s+((?:(?:"(?:[^"\\]|\\.)*"|[\w.+-]+)(?:,\s+)?)+)\s+\]/g, (_, items) => `[${items.replace(/,\s*\n\s*/g, ", ")}]`);
  }

  // The document

  // What a `$ref` of this document leads to (JSON pointer, RFC 6901).
  function resolved(node) {
    for (let hops = 0; node?.$ref && hops < 20; hops++) {
      const { $ref, ...beside } = node;
      const parts = decodeURIComponent($ref.replace(/^#\/?/, "")).split("/");
      const target = parts.reduce((at, part) => at?.[part.replace(/~1/g, "/").replace(/~0/g, "~")], api);
      node = { ...target, ...beside };
    }
    return node ?? {};
  }

  // A schema with the members of its `allOf` in it.
  function merged(schema) {
    const { allOf, ...own } = resolved(schema);
    return (allOf ?? []).map(merged).reduce((all, part) => ({
      ...all,
      ...part,
      ...own,
      properties: { ...all.properties, ...part.properties, ...own.properties },
      required: [...(all.required ?? []), ...(part.required ?? []), ...(own.required ?? [])],
    }), own);
  }

  function typeOf(schema) {
    const whole = merged(schema);
    const choices = whole.oneOf ?? whole.anyOf;
    if (choices) return [...new Set(choices.map(typeOf))].join(" or ");
    if (whole.const !== undefined) return JSON.stringify(whole.const);
    const types = [whole.type ?? (whole.properties ? "object" : whole.enum ? "string" : "any")].flat();
    const named = types.map((type) => (type === "array" && whole.items ? `array of ${typeOf(whole.items)}` : type));
    return named.join(" or ") + (whole.format ? ` (${whole.format})` : "");
  }

  function limitsOf(schema) {
    const whole = merged(schema);
    const limits = [];
    const range = (low, high, unit) => {
      // That something is there goes without saying.
      if (unit && low === 1) low = undefined;
      if (low === undefined && high === undefined) return;
      const text = low === undefined ? `at most ${high}` : high === undefined ? `at least ${low}` : `${low} to ${high}`;
      limits.push(text + unit);
    };
    range(whole.minimum, whole.maximum, "");
    range(whole.minLength, whole.maxLength, " characters");
    range(whole.minItems, whole.maxItems, " items");
    if (whole.uniqueItems) limits.push("no duplicates");
    if (whole.default !== undefined) limits.push(`default ${JSON.stringify(whole.default)}`);
    return limits.join(", ");
  }

  function valuesOf(schema) {
    const values = merged(schema).enum?.filter((value) => value !== null);
    return values && element("p", { class: "values" }, "One of ", values.flatMap((value, at) => [at ? ", " : "", element("code", {}, String(value))]));
  }

  // The members of a schema as a list of definitions. Of a request it tells what is required, of an answer what may be missing.
  function members(schema, isAnswer = false, level = 0) {
    const whole = merged(schema);
    const choices = (whole.oneOf ?? whole.anyOf ?? []).filter((choice) => merged(choice).type !== "null");
    if (!whole.properties && choices.length) return choices.map((choice) => members(choice, isAnswer, level)).find(Boolean);
    if (!whole.properties && whole.items) return members(whole.items, isAnswer, level);
    if (!whole.properties || level >= MOST_LEVELS) return undefined;
    const required = new Set(whole.required);
    return element("dl", { class: "members" }, Object.entries(whole.properties).flatMap(([name, property]) => definition(
      name,
      property,
      { required: required.has(name), isAnswer, description: resolved(property).description },
      members(property, isAnswer, level + 1),
    )));
  }

  function definition(name, schema, { required, isAnswer, description, deprecated }, inner) {
    const limits = limitsOf(schema);
    return [
      element("dt", {}, element("code", {}, name), element("span", { class: "type" }, typeOf(schema)),
        required && !isAnswer && element("span", { class: "required" }, "required") || "",
        !required && isAnswer && element("span", { class: "type" }, "not always there") || "", deprecated && element("span", { class: "type" }, "deprecated") || ""),
      element("dd", {}, markdown(description), limits && element("p", { class: "limits" }, limits), valuesOf(schema), inner),
    ];
  }

  // Every example of a parameter, media type or header: a name and a value.
  function examplesOf(node) {
    const many = Object.entries(node.examples ?? {}).map(([name, example]) => {
      const { summary, value } = resolved(example);
      return { name: summary ?? name, value };
    });
    if (many.length) return many;
    const schema = merged(node.schema);
    const value = node.example ?? schema.examples?.[0] ?? schema.example;
    return value === undefined ? [] : [{ name: "Example", value }];
  }

  function operations() {
    return Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method]).map((method) => {
      const operation = item[method];
      // An operation's parameter takes the place of its path's (OpenAPI 3.1, 4.8.10).
      const parameters = new Map([...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolved).map((one) => [`${one.in} ${one.name}`, one]));
      const id = operation.operationId ?? `${method}${path.replace(/\W+/g, "-")}`;
      return { id, method: method.toUpperCase(), path, ...operation, parameters: [...parameters.values()] };
    }));
  }

  // Descriptions

  const methodBadge = (method) => element("span", { class: `method ${method.toLowerCase()}` }, method);
  // A path may break behind its slashes.
  const breakable = (path) => path.split(/(?<=\/)/).flatMap((part, at) => (at ? [element("wbr"), part] : [part]));

  function parameterList(operation) {
    if (!operation.parameters.length) return [];
    const order = ["path", "query", "header"];
    const sorted = order.flatMap((place) => [true, false].flatMap((required) => operation.parameters.filter((one) => one.in === place && Boolean(one.required) === required)));
    return [
      element("h4", {}, "Parameters"),
      element("dl", { class: "members" }, sorted.flatMap((parameter) => {
        const [term, about] = definition(parameter.name, parameter.schema ?? {}, parameter);
        term.append(element("span", { class: "place" }, parameter.in));
        return [term, about];
      })),
    ];
  }

  function bodyDescription(operation) {
    const body = operation.requestBody && resolved(operation.requestBody);
    if (!body) return [];
    const [type, media] = Object.entries(body.content)[0];
    return [
      element("h4", {}, "Body ", element("span", { class: "type" }, `${type}${body.required ? "" : ", may be left out"}`)),
      markdown(body.description),
      members(media.schema),
    ];
  }

  function responseList(operation) {
    return [
      element("h4", {}, "Answers"),
      element("ul", { class: "answers" }, Object.entries(operation.responses ?? {}).map(([status, node]) => response(status, resolved(node)))),
    ];
  }

  function response(status, node) {
    const headers = Object.entries(node.headers ?? {});
    const media = Object.entries(node.content ?? {});
    const parts = [];
    if (headers.length) {
      parts.push(element("h5", {}, "Headers"), element("dl", { class: "members" }, headers.flatMap(([name, header]) => {
        const whole = resolved(header);
        return definition(name, whole.schema ?? {}, { ...whole, isAnswer: true });
      })));
    }
    for (const [type, content] of media) {
      parts.push(element("h5", {}, type), content.schema && members(content.schema, true) || "");
      for (const { name, value } of examplesOf(content)) {
        parts.push(element("p", { class: "example" }, name), code(pretty(value), `${status}: ${name}`, typeof value !== "string"));
      }
    }
    const codes = new Set(media.flatMap(([, content]) => examplesOf(content)).map(({ value }) => value?.code).filter(Boolean));
    const summary = [
      element("span", { class: `status s${status[0]}` }, status),
      element("span", { class: "meaning" }, inline((node.description ?? "").trim().split("\n\n")[0]), codes.size > 0 && element("span", { class: "problems" }, [...codes].map((one) => element("code", {}, one))) || ""),
    ];
    if (!parts.length) return element("li", {}, element("div", { class: "answer" }, summary));
    return element("li", {}, element("details", {}, element("summary", { class: "answer" }, summary), element("div", { class: "inner" }, parts)));
  }

  // Forms

  let fields = 0;

  // A labelled input. `more` stands beside it.
  function field({ name, place, required, schema, hint, value = "", rows, secret }, ...more) {
    const id = `field-${++fields}`;
    const values = schema && merged(schema).enum;
    const common = { id, name, required, "aria-describedby": hint && `${id}-hint`, autocomplete: "off" };
    let input;
    if (values) {
      const options = values.filter((one) => one !== null).map((one) => element("option", {}, String(one)));
      input = element("select", common, required ? "" : element("option", { value: "" }, "(left out)"), options);
    } else if (rows) {
      input = element("textarea", { ...common, rows, spellcheck: "false" });
    } else {
      input = element("input", { ...common, type: secret ? "password" : "text", spellcheck: "false" });
    }
    if (value !== "") input.value = value;
    const label = element("label", { for: id }, element("span", {}, name), place && [element("span", { class: "place" }, place), required && element("span", { class: "required" }, "required") || ""]);
    const box = element("div", { class: "field" }, label, element("div", { class: "row" }, input, more), hint && element("p", { class: "hint", id: `${id}-hint` }, hint));
    return { box, input };
  }

  // A version 4 UUID (RFC 9562). `crypto.randomUUID` is there only over HTTPS and on localhost.
  function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  const namesAnOrder = (operation, parameter) => parameter.in === "path" && operation.path.includes(`/orders/{${parameter.name}}`);

  function parameterField(operation, parameter) {
    const isKey = parameter.name.toLowerCase() === "idempotency-key";
    const [example] = examplesOf(parameter);
    const hint = !isKey && example ? `For example ${pretty(example.value)}` : undefined;
    const button = isKey && element("button", { type: "button", class: "quiet" }, "New key");
    const value = isKey ? newKey() : "";
    const made = field({ ...parameter, place: parameter.in, hint, value }, button || "");
    if (button) {
      button.addEventListener("click", () => {
        made.input.value = newKey();
        made.input.dispatchEvent(new Event("input", { bubbles: true }));
      });
    }
    if (namesAnOrder(operation, parameter)) made.input.dataset.order = "";
    return { ...made, parameter };
  }

  function takesToken(operation) {
    return (operation.security ?? api.security ?? []).some((scheme) => Object.keys(scheme).length);
  }

  function tokenField() {
    const made = field({ name: "Authorization", place: "header", hint: "A token, sent as Bearer. It stays in this page.", secret: true });
    made.input.dataset.token = "";
    made.input.value = shared.token;
    made.input.addEventListener("input", () => {
      shared.token = made.input.value;
      for (const other of document.querySelectorAll("input[data-token]")) {
        if (other === made.input) continue;
        other.value = shared.token;
        other.form?.dispatchEvent(new Event("refresh"));
      }
    });
    return made;
  }

  function bodyField(operation) {
    const body = operation.requestBody && resolved(operation.requestBody);
    if (!body) return undefined;
    const [type, media] = Object.entries(body.content)[0];
    const examples = examplesOf(media);
    const first = body.required && examples[0] ? pretty(examples[0].value) : "";
    const made = field({ name: "Body", place: type, value: first, rows: Math.min(12, Math.max(3, first.split("\n").length + 1)) });
    if (examples.length > 1) {
      const choice = field({ name: "Example", schema: { enum: examples.map(({ name }) => name) }, required: true });
      choice.input.addEventListener("change", () => {
        made.input.value = pretty(examples[choice.input.selectedIndex].value);
      });
      made.box.prepend(choice.box);
    }
    return { ...made, type };
  }

  // The request that a form stands for.
  function requestOf(operation, inputs, body) {
    let path = operation.path;
    const query = new URLSearchParams();
    const headers = [];
    for (const { input, parameter } of inputs) {
      const value = input.value.trim();
      if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, value ? encodeURIComponent(value) : `{${parameter.name}}`);
      else if (value && parameter.in === "query") query.append(parameter.name, value);
      else if (value && parameter.in === "header") headers.push([parameter.name, value]);
    }
    const text = body?.input.value.trim() ? body.input.value : undefined;
    if (text !== undefined) headers.push(["Content-Type", body.type]);
    const token = takesToken(operation) ? shared.token.trim() : "";
    const search = query.size ? `?${query}` : "";
    return { method: operation.method, url: location.origin + path + search, headers, token, text };
  }

  // The same as a line for a shell. The token is named, not shown.
  function curlOf({ method, url, headers, token, text }) {
    const quoted = (word) => `'${word.replace(/'/g, `'\\''`)}'`;
    const words = [`curl -i${method === "GET" || (method === "POST" && text !== undefined) ? "" : ` -X ${method}`} ${quoted(url)}`];
    if (token) words.push(`-H "Authorization: Bearer $TOKEN"`);
    for (const [name, value] of headers) words.push(`-H ${quoted(`${name}: ${value}`)}`);
    if (text !== undefined) words.push(`--data-raw ${quoted(compact(text))}`);
    return words.join(" \\\n  ");
  }

  function compact(text) {
    try {
      return JSON.stringify(JSON.parse(text));
    } catch {
      return text;
    }
  }

  function form(operation) {
    const inputs = operation.parameters.filter((one) => ["path", "query", "header"].includes(one.in)).map((one) => parameterField(operation, one));
    const needed = inputs.filter(({ parameter }) => parameter.required || parameter.in === "path");
    const other = inputs.filter((one) => !needed.includes(one));
    const token = takesToken(operation) && tokenField();
    const body = bodyField(operation);
    const line = element("code");
    const linePre = element("pre", { tabindex: 0, role: "group", "aria-label": `${operation.id} with curl`, class: "curl" }, line);
    const copied = element("span", { role: "status", class: "hint" });
    const answer = element("div", { class: "answer-of-call", role: "region", "aria-label": `Answer of ${operation.id}`, hidden: true });
    const send = element("button", { type: "submit", class: "send" }, "Send");
    const copy = element("button", { type: "button", class: "quiet", onclick: () => copyText(linePre, line, copied) }, "Copy curl");
    const made = element("form", { class: "try", "aria-label": `Try ${operation.id}` },
      element("h4", {}, "Try it"),
      needed.map(({ box }) => box),
      body && body.box,
      token && token.box,
      other.length > 0 && element("details", { class: "optional" }, element("summary", {}, `${other.length} optional ${other.length === 1 ? "parameter" : "parameters"}`), other.map(({ box }) => box)),
      element("div", { class: "buttons" }, send, copy, copied),
      linePre,
      answer);
    const refresh = () => {
      line.replaceChildren(curlOf(requestOf(operation, inputs, body)));
    };
    made.addEventListener("input", refresh);
    made.addEventListener("change", refresh);
    made.addEventListener("refresh", refresh);
    made.addEventListener("submit", (event) => {
      event.preventDefault();
      call(requestOf(operation, inputs, body), send, answer);
    });
    refresh();
    return made;
  }

  async function copyText(pre, line, told) {
    try {
      await navigator.clipboard.writeText(line.textContent);
      told.textContent = "Copied";
    } catch {
      // Without HTTPS there is no clipboard: what is selected can be copied by hand.
      getSelection().selectAllChildren(pre);
      told.textContent = "Selected, to be copied";
    }
    setTimeout(() => (told.textContent = ""), 3000);
  }

  // Calls

  async function call(request, send, answer) {
    send.disabled = true;
    send.textContent = "Sending";
    const headers = [...request.headers, ...(request.token ? [["Authorization", `Bearer ${request.token}`]] : [])];
    const begun = performance.now();
    try {
      const got = await fetch(request.url, { method: request.method, headers, body: request.text, cache: "no-store", credentials: "omit" });
      const text = await got.text();
      show(answer, got, text, Math.round(performance.now() - begun));
    } catch (error) {
      answer.replaceChildren(element("p", { class: "failed", role: "status" }, `No answer: ${error.message}`));
    }
    answer.hidden = false;
    send.disabled = false;
    send.textContent = "Send";
    send.focus({ preventScroll: true });
    // The button stays in sight where there is room for both.
    const { top } = answer.getBoundingClientRect();
    if (top > innerHeight * 0.55) answer.firstElementChild.scrollIntoView({ block: "center" });
  }

  function show(answer, got, text, milliseconds) {
    let value;
    if (/json/.test(got.headers.get("content-type") ?? "")) {
      try {
        value = JSON.parse(text);
      } catch {
        // Shown as it came.
      }
    }
    const size = new Blob([text]).size;
    const whole = value === undefined ? text : pretty(value);
    const shown = whole.length > MOST_CHARACTERS ? `${whole.slice(0, MOST_CHARACTERS)}\n…` : whole;
    const headers = [...got.headers].map(([name, content]) => `${name}: ${content}`).join("\n");
    answer.replaceChildren(
      element("p", { class: "outcome", role: "status" },
        element("span", { class: `status s${String(got.status)[0]}` }, String(got.status)),
        element("span", {}, `${got.statusText ? `${got.statusText}, ` : ""}${milliseconds} ms, ${size} bytes${got.redirected ? `, from ${new URL(got.url).pathname}` : ""}`)),
      ...(shown ? [element("details", { class: "body", open: true }, element("summary", {}, "Body"), code(shown, "Body of the answer", value !== undefined))] : []),
      element("details", { class: "headers", open: true }, element("summary", {}, "Headers"), code(headers, "Headers of the answer")));
    if (value?.order?.id) fillOrder(value.order.id);
  }

  // The other forms go on with the order of the last answer, where nobody has written another.
  function fillOrder(id) {
    for (const input of document.querySelectorAll("input[data-order]")) {
      if (input.value && input.value !== shared.order) continue;
      input.value = id;
      input.form.dispatchEvent(new Event("refresh"));
    }
    shared.order = id;
  }

  // The page

  function section(operation) {
    const title = `${operation.id}-title`;
    return element("section", { id: operation.id, class: "operation", "aria-labelledby": title },
      element("h3", { id: title }, operation.summary ?? operation.id, operation.deprecated && element("span", { class: "type" }, "deprecated") || ""),
      element("p", { class: "request" }, methodBadge(operation.method), element("code", {}, breakable(operation.path))),
      element("div", { class: "columns" },
        element("div", { class: "about" }, markdown(operation.description), parameterList(operation), bodyDescription(operation), responseList(operation)),
        form(operation)));
  }

  function render() {
    const all = operations();
    const described = (api.tags ?? []).map((tag) => tag.name);
    const title = (name) => name[0].toUpperCase() + name.slice(1);
    const names = [...new Set([...described, ...all.map((one) => one.tags?.[0] ?? "Other")])];
    const groups = names.map((name) => ({ name, own: all.filter((one) => (one.tags?.[0] ?? "Other") === name) })).filter(({ own }) => own.length);
    const links = groups.map(({ name, own }) => [
      element("p", { class: "group" }, title(name)),
      element("ul", {}, own.map((one) => element("li", {}, element("a", { href: `#${one.id}` }, methodBadge(one.method), element("span", {}, one.summary ?? one.path))))),
    ]);
    document.getElementById("operation-links").replaceChildren(...links.flat());
    document.querySelector("#operations tbody").replaceChildren(...groups.flatMap(({ own }) => own).map((one) => element("tr", {},
      element("td", {}, element("a", { href: `#${one.id}`, class: "request" }, methodBadge(one.method), element("code", {}, breakable(one.path)))),
      element("td", {}, one.summary ?? ""))));
    const sections = groups.map(({ name, own }, at) => {
      const about = (api.tags ?? []).find((tag) => tag.name === name);
      return element("section", { class: "group", "aria-labelledby": `group-${at}` }, element("h2", { id: `group-${at}` }, title(name)), markdown(about?.description), own.map(section));
    });
    document.getElementById("operation-sections").replaceChildren(...sections);
  }

  // Marks the link of what is being read.
  function follow() {
    const links = new Map([...document.querySelectorAll("#contents a[href^='#']")].map((link) => [link.hash.slice(1), link]));
    const visible = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) visible[isIntersecting ? "add" : "delete"](target);
      const first = [...links.keys()].find((id) => [...visible].some((one) => one.id === id));
      if (!first) return;
      for (const [id, link] of links) {
        if (id === first) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
      const link = links.get(first), box = document.querySelector(".side");
      const { top, bottom } = link.getBoundingClientRect();
      if (box.scrollHeight > box.clientHeight && (top < 40 || bottom > innerHeight - 20)) box.scrollTop += top - innerHeight / 2;
    }, { rootMargin: "-10% 0px -70% 0px" });
    for (const id of links.keys()) {
      const target = document.getElementById(id);
      if (target) observer.observe(target);
    }
  }

  function menu() {
    const button = document.getElementById("menu");
    const side = document.querySelector(".side");
    const open = (is) => {
      button.setAttribute("aria-expanded", String(is));
      side.classList.toggle("open", is);
    };
    button.hidden = false;
    document.documentElement.classList.add("scripted");
    button.addEventListener("click", () => open(button.getAttribute("aria-expanded") !== "true"));
    side.addEventListener("click", (event) => event.target.closest("nav a") && open(false));
    side.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      open(false);
      button.focus();
    });
  }

  async function start() {
    menu();
    document.getElementById("origin").textContent = location.origin;
    const loading = document.getElementById("loading");
    loading.textContent = "Reading openapi.json …";
    try {
      // Of the same version as the page, which a cache might not have.
      const got = await fetch("/openapi.json", { cache: "no-cache" });
      if (!got.ok) throw new Error(`the answer is ${got.status}`);
      api = await got.json();
      render();
      loading.remove();
    } catch (error) {
      loading.textContent = `The document could not be read (${error.message}). Load this page again.`;
      return;
    }
    if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
    follow();
    document.documentElement.dataset.ready = "";
  }

  start();
})();
