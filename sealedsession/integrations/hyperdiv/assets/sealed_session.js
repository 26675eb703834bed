/* The browser's part of sealed_session: it keeps the token, which says nothing to it.
 *
 * 1. Without the user's consent the token is in this page's memory only. With it, it is in localStorage, for all
 *    windows of the site, and what one of them stores or deletes the others hear of by the event `storage`.
 * 2. Browser and server send each other [offer, token, consent]. Offers are numbered here. An answer to an older offer
 *    than the latest is dropped: the server has not seen that one yet, and answers it in a moment.
 * 3. A token that was stored and is gone has been deleted by another window: somebody has signed out. What this window
 *    gets for it after that is not stored.
 * 4. Where localStorage is blocked or full, the session lives in this page.
 */

window.hyperdiv.registerPlugin("sealed_session", (ctx) => {
  const { _storage_key: key, _offered, _answer } = ctx.initialProps;
  // By key, outside of the plugin: after a lost connection, Hyperdiv makes page and plugin anew, and this stays.
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

  /** Take over what another window has stored or deleted, if it has; or what an earlier page has left. */
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
      window.removeEventListener("storage", hear); // another plugin has taken over
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
    accept(_answer); // the server may have begun a session already
  }
  offer(); // also where there is nothing to offer: the server waits for it
});
