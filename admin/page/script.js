// Keeps the page up to date: ferry sends an event when the page has changed, and the script
// fetches it again. Without it, the page works by reloading.
"use strict";

(function () {
	const state = document.getElementById("live-state");
	const bar = document.getElementById("live");
	const silentAfter = 30000; // ferry sends an event every 10 seconds
	let timer = 0;
	let busy = false;
	let wanted = "";

	function say(text, name) {
		if (state.textContent !== text) {
			state.textContent = text;
		}
		bar.className = "live " + name;
	}

	function lost() {
		say("Not live: ferry does not answer, the numbers are old", "is-lost");
	}

	function alive() {
		clearTimeout(timer);
		timer = setTimeout(lost, silentAfter);
		say("Live", "is-live");
	}

	// replace puts the new content of one element in place, unless somebody is in the middle of
	// its form, or has its text selected.
	function replace(old, fresh) {
		const form = old.querySelector("form");
		const selected = document.getSelection();
		if (form && (form.contains(document.activeElement) || form.dataset.touched)) {
			return;
		}
		if (selected && !selected.isCollapsed && old.contains(selected.anchorNode)) {
			return;
		}
		if (old.outerHTML === fresh.outerHTML) {
			return;
		}
		const open = Array.from(old.querySelectorAll("details[open]"), function (one) { return one.id; });
		const focused = old.contains(document.activeElement) && document.activeElement;
		const place = focused ? Array.from(old.querySelectorAll(focused.tagName)).indexOf(focused) : -1;
		const adopted = document.importNode(fresh, true);
		open.forEach(function (id) {
			const one = adopted.querySelector("details[id='" + id + "']");
			if (one) {
				one.open = true;
			}
		});
		old.replaceWith(adopted);
		const again = place >= 0 && adopted.querySelectorAll(focused.tagName)[place];
		if (again) {
			again.focus({ preventScroll: true });
		}
	}

	async function fetchPage() {
		if (busy) {
			return;
		}
		busy = true;
		try {
			const answer = await fetch("/", { cache: "no-store", credentials: "same-origin" });
			if (!answer.ok) {
				throw new Error("status " + answer.status);
			}
			const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
			fresh.querySelectorAll("#main .lead, #main section").forEach(function (one) {
				const old = document.getElementById(one.id);
				if (old) {
					replace(old, one);
				}
			});
			document.title = fresh.title;
			document.getElementById("mode-name").textContent = fresh.getElementById("mode-name").textContent;
			document.body.dataset.digest = fresh.body.dataset.digest;
			bar.querySelector("time").replaceWith(document.importNode(fresh.querySelector("#live time"), true));
			alive();
		} catch (fault) {
			lost();
		} finally {
			busy = false;
		}
	}

	function changed(event) {
		alive();
		wanted = event.data;
		if (wanted !== document.body.dataset.digest) {
			fetchPage();
		}
	}

	document.addEventListener("change", function (event) {
		const form = event.target.closest("form");
		if (form) {
			form.dataset.touched = "yes";
		}
	});

	const events = new EventSource("/page/events");
	events.addEventListener("changed", changed);
	events.addEventListener("beat", changed);
	events.onerror = function () {
		if (events.readyState === EventSource.CLOSED) {
			// Too many viewers: look once in a while.
			setInterval(fetchPage, silentAfter);
			fetchPage();
			return;
		}
		lost();
	};
})();
