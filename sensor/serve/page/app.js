// Replaces the sections that have changed, and answers keys. Pages are complete without it.
'use strict';
(() => {
  const $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
  const dot = $('#live'), waiting = new Map();
  let since = null, source = null;

  // An element is known by its id or its target within the nearest element with a name.
  const kind = (e) => e.tagName + (e.getAttribute('href') || e.getAttribute('aria-labelledby') || '');
  const name = (e) => {
    const box = e.parentElement.closest('[data-key], [id]');
    const same = $$(e.tagName, box).filter((x) => kind(x) === kind(e));
    return [e.id || box.dataset.key || box.id, kind(e), same.indexOf(e)].join('|');
  };
  const selected = (part) => { const s = getSelection(); return !s.isCollapsed && part.contains(s.anchorNode); };

  function replace(part, html, hash) {
    if (selected(part)) { waiting.set(part, [html, hash]); return; } // until nothing of it is selected
    waiting.delete(part);
    part.dataset.hash = hash;
    const was = part.contains(document.activeElement) ? document.activeElement : null;
    const active = was && name(was), top = was && was.getBoundingClientRect().top;
    const open = new Set($$('details[open]', part).map(name));
    const scrolled = new Map($$('.scroll', part).filter((e) => e.scrollLeft).map((e) => [name(e), e.scrollLeft]));
    const t = document.createElement('template');
    t.innerHTML = html;
    part.replaceChildren(t.content);
    for (const d of $$('details', part)) if (open.has(name(d))) d.open = true;
    for (const e of $$('.scroll', part)) if (scrolled.has(name(e))) e.scrollLeft = scrolled.get(name(e));
    const now = active && $$('a, summary, button, [tabindex]', part).find((x) => name(x) === active);
    if (now) { now.focus({ preventScroll: true }); if (top > 0 && top < innerHeight) scrollBy(0, now.getBoundingClientRect().top - top); }
    dress(part);
  }

  function dress(part) {
    for (const b of $$('button.copy', part)) b.hidden = false;
    const title = part.querySelector('[data-title]');
    if (title) document.title = title.dataset.title;
  }

  function say(on, text) {
    dot.className = on ? 'on' : 'off';
    if (dot.textContent !== text) dot.textContent = text;
  }

  function connect() {
    const have = $$('.part').map((p) => p.dataset.hash).join(',');
    source = new EventSource(document.body.dataset.live + '&have=' + have);
    source.onopen = () => { since = null; say(true, dot.dataset.is); };
    source.onerror = () => {
      since = since || new Date().toLocaleTimeString(document.documentElement.lang);
      const refused = source.readyState === EventSource.CLOSED; // the browser does not try again
      say(false, refused ? dot.dataset.refused : dot.dataset.lost + ' ' + since);
      if (refused) setTimeout(connect, 30000);
    };
    for (const part of $$('.part')) source.addEventListener(part.dataset.part, (e) => replace(part, e.data, e.lastEventId));
  }

  const go = (a) => { if (a) location.href = a.href; };
  const findings = () => $$('main a[data-finding]');
  function step(by) {
    const list = findings(), at = list.indexOf(document.activeElement);
    const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1)];
    if (next) { next.focus(); next.scrollIntoView({ block: 'nearest' }); } else go($(by > 0 ? 'a[rel=next]' : 'a[rel=prev]'));
  }
  const current = () => findings().find((a) => a === document.activeElement) || findings()[0];
  function proof() {
    const here = !findings().length && $('[data-proof] [tabindex], [data-proof]');
    if (here) { here.focus(); here.scrollIntoView({ block: 'start' }); } else if (current()) location.href = current().href + '#proof';
  }
  const keys = {
    j: () => step(1), k: () => step(-1), e: proof,
    Enter: () => { if (document.activeElement === document.body) go(current()); },
    x: () => go(findings().length ? { href: current().dataset.host } : $('a[data-explain]')),
    '/': () => { const q = $('input[name=q]'); if (q) { q.focus(); q.select(); } else go($('a[data-find]')); },
    '?': () => $('#help').showModal(),
  };
  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.target.closest('input, select, textarea') || $('#help').open || !keys[e.key]) return;
    if (e.key !== 'Enter') e.preventDefault();
    keys[e.key]();
  });
  document.addEventListener('selectionchange', () => { for (const [part, [html, hash]] of waiting) if (!selected(part)) replace(part, html, hash); });
  document.addEventListener('click', async (e) => {
    const b = e.target.closest('button.copy');
    if (!b) return;
    const code = $('code', b.parentElement);
    try { await navigator.clipboard.writeText(code.textContent); b.textContent = b.dataset.done; } catch { getSelection().selectAllChildren(code); }
  });
  dress(document);
  if (location.hash === '#proof') proof();
  connect();
})();
