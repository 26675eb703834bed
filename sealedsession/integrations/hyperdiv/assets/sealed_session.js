/* The browser's part of sealed_session. It stores the sealed token, and cannot read its content.
 *
 * 1. Without the user's consent, the token is only in the memory of this page. With consent, it is in localStorage,
 *    which all windows of the site share. The event `storage` notifies a window when another one changes the token.
 * 2. Browser and server exchange messages of the form [offer, token, consent]. The browser numbers its offers. It
 *    ignores an answer to an older offer, because the server will also answer the latest one.
 * 3. If a stored token no longer exists, the user has signed out in another window. This window then does not store the
 *    server's answer for that token.
 * 4. If localStorage is blocked or full, the session exists only in this page.
 */

window.hyperdiv.registerPlugin("sealed_session", (ctx) => {
  const { _storage_key: key, _offered, _answer } = ctx.initialProps;
  // Not in the plugin, which Hyperdiv creates again after a lost connection. This object stays.
  const memory = ((window.sealedsession ??= {})[key] ??= { token: "", consent: false, stored: false });
  let offers = _offered[0];

  function read() {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  }

  function write() {
    try {
      if (memory.token && memory.consent) {
        localStorage.setItem(key, memory.token);
        memory.stored = true;
      } else if (memory.stored) {
        localStorage.removeItem(key);
        memory.stored = false;
      }
    } catch {
      memory.stored = false;
    }
  }

  function offer() {
    offers += 1;
    ctx.updateProp("_offered", [offers, memory.token, memory.consent]);
  }

  /** Apply a change of the stored token by another window or an earlier page. Return whether there was one. */
  function follow() {
    const token = read();
    const changed = token === null ? memory.stored : token !== memory.token;
    if (changed) {
      Object.assign(memory, { token: token ?? "", consent: token !== null, stored: token !== null });
    }
    return changed;
  }

  function accept([answered, token, consent]) {
    if (answered !== offers) {
      return;
    }
    if (token && memory.stored && read() === null) {
      follow();
      offer();
      return;
    }
    Object.assign(memory, { token, consent });
    write();
  }

  function hear() {
    if (!ctx.domElement.isConnected) {
      window.removeEventListener("storage", hear); // another plugin has replaced this one
    } else if (follow()) {
      offer();
    }
  }

  ctx.domElement.host.style.display = "none";
  ctx.onPropUpdate((name, value) => {
    if (name === "_answer") {
      accept(value);
    }
  });
  window.addEventListener("storage", hear);
  if (!follow() && !memory.token) {
    accept(_answer); // the server may already have begun a session
  }
  offer(); // also without a token, because the server waits for the first offer
});
