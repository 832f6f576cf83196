(() => {
	const found = [], texts = [];
	const name = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + '.' + (e.getAttribute('class') || '') + ' ' +
		JSON.stringify(e.textContent.trim().slice(0, 60));
	const root = document.documentElement;
	if (root.scrollWidth > innerWidth) found.push('the page is ' + root.scrollWidth + ' wide');
	const inside = e => e.closest('.scroll, .numbers, pre');
	for (const e of document.body.querySelectorAll('*')) {
		if (!e.checkVisibility({contentVisibilityAuto: true}) || e.closest('.skip') || e.tagName === 'SCRIPT') continue;
		const box = e.getBoundingClientRect();
		const style = getComputedStyle(e);
		if (!e.closest('svg') && e.clientWidth && e.scrollWidth > e.clientWidth + 1 && style.overflowX !== 'visible' && !e.matches('.scroll, .numbers, pre'))
			found.push('cut: ' + name(e));
		if (!inside(e) && box.width && (box.right > innerWidth + 1 || box.left < -1)) found.push('outside: ' + name(e));
		for (const n of e.childNodes) {
			if (n.nodeType !== 3 || !n.data.trim() || e.closest('title, desc')) continue;
			const range = document.createRange();
			range.selectNodeContents(n);
			const svg = e.closest('svg');
			for (const r of svg ? [e.getBoundingClientRect()] : range.getClientRects()) texts.push({e, r, scroll: inside(e)});
		}
	}
	texts.sort((a, b) => a.r.top - b.r.top);
	for (let i = 0; i < texts.length && found.length < 20; i++) {
		for (let j = i + 1; j < texts.length && texts[j].r.top < texts[i].r.bottom; j++) {
			const a = texts[i], b = texts[j];
			if (a.e === b.e || a.scroll !== b.scroll) continue;
			const w = Math.min(a.r.right, b.r.right) - Math.max(a.r.left, b.r.left);
			const h = Math.min(a.r.bottom, b.r.bottom) - Math.max(a.r.top, b.r.top);
			const line = Math.min(a.r.height, b.r.height);
			if (w > 2 && h > line * 0.4) found.push('overlap: ' + name(a.e) + ' and ' + name(b.e));
		}
	}
	return found.slice(0, 20);
})()
