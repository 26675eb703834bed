/* Calls public methods of objects whose sealed state is in the page.
 *
 *     <p data-sealedsession-state="TOKEN" data-sealedsession-url="/call"> <button>0</button> </p>
 *
 *     import { call } from "/sealed_state.js";
 *     button.textContent = await call(button, "add", 1);
 *
 * 1. A call goes to the closest element with a state, as a POST to its URL: {"token", "method", "args"}, with the token
 *    first: the server opens it before it parses the rest. The answer, {"token", "result"}, brings the next token,
 *    which replaces the one in the element. Both are JSON.
 * 2. The calls of one element wait for each other, so that each is sent with the token that the one before it has
 *    brought, whether that succeeded or failed. Those of different elements do not wait.
 * 3. A call that fails leaves the token as it is, and rejects with an Error that has `status`, that of the response, or
 *    0, and `code`: the server's, or NoAnswer where it gave none, or NoState where there is nothing to call.
 * 4. When what a state refers to is gone (410, StaleState), the event `sealedsession:stale` with `detail.message` is
 *    dispatched on the element first. It bubbles. Unless a listener prevents the default, the element is then removed,
 *    and nothing is sent for it any more. The call rejects in any case.
 * 5. Nothing is sent to another origin. There is nothing in here that a Content-Security-Policy would have to allow.
 */

const STATE = "data-sealedsession-state";
const TARGET = "data-sealedsession-url";

const turns = new WeakMap(); // element -> a promise that is fulfilled when its last call is over

/**
 * Call a public method of the object in the closest element that has a state.
 *
 * @param {Element} element - the one with the state, or any within it.
 * @param {string} method - the method's name.
 * @param {...*} args - its arguments, JSON. They are sent as they are now, also if the call has to wait.
 * @returns {Promise<*>} what the method has returned.
 */
export async function call(element, method, ...args) {
  const owner = element.closest(`[${STATE}]`);
  if (owner === null) {
    throw failure(`${method}: there is no ${STATE} on the element or around it`, 0, "NoState");
  }
  const argumentsNow = JSON.parse(JSON.stringify(args));
  const turn = (turns.get(owner) ?? Promise.resolve()).then(() => send(owner, method, argumentsNow));
  turns.set(owner, turn.catch(() => {}));
  return turn;
}

async function send(owner, method, args) {
  const token = owner.getAttribute(STATE);
  const url = owner.getAttribute(TARGET);
  if (!token) {
    throw failure(`${method}: the state was stale, and its element is removed`, 410, "StaleState");
  }
  if (url === null) {
    throw failure(`${method}: the element with the state has no ${TARGET}`, 0, "NoState");
  }
  const { response, text } = await post(url, JSON.stringify({ token, method, args }));
  const answer = parsed(text);
  if (response.ok && typeof answer?.token === "string") {
    owner.setAttribute(STATE, answer.token);
    return answer.result;
  }
  const { code = "NoAnswer", message = `${response.url} answered ${response.status}, and not as a state does` } =
    answer?.error ?? {};
  if (response.status === 410 && code === "StaleState") {
    stale(owner, message);
  }
  throw failure(message, response.status, code);
}

async function post(url, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const csrf = csrfToken();
  if (csrf) {
    headers["X-CSRFToken"] = csrf;
  }
  try {
    const options = { method: "POST", mode: "same-origin", credentials: "same-origin", headers, body };
    const response = await fetch(url, options);
    return { response, text: await response.text() };
  } catch (cause) {
    throw failure(`${url} did not answer: ${cause.message}`, 0, "NoAnswer", cause);
  }
}

/** For frameworks that want one with every POST: of <meta name="csrf-token">, or of Django's cookie. */
function csrfToken() {
  const meta = document.querySelector('meta[name="csrf-token"]');
  return meta ? meta.content : /(?:^|; )csrftoken=([^;]+)/.exec(document.cookie)?.[1];
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // some proxy's page
  }
}

function stale(owner, message) {
  const event = new CustomEvent("sealedsession:stale", { bubbles: true, cancelable: true, detail: { message } });
  if (owner.dispatchEvent(event)) {
    owner.setAttribute(STATE, ""); // the calls that wait, and late ones of its children, find this
    owner.remove();
  }
}

function failure(message, status, code, cause) {
  return Object.assign(new Error(message, { cause }), { status, code });
}
