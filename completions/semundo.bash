# SPDX-License-Identifier: Apache-2.0
# Completion of semundo's verbs, options and names in bash; works without
# bash-completion's own functions.

# The verbs, or a verb's options, from what --help prints.
_semundo_verbs() {
	"$1" --help 2>/dev/null | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z]*\)  .*/\1/p'
}

_semundo_options() {
	"$1" "$2" --help 2>/dev/null | grep -o -E -e '--[a-z][a-z-]*' | sort -u
}

_semundo_names() {
	"$1" ls --raw --noheadings -o NAME 2>/dev/null
}

# COMPREPLY from the lines of standard input; names may have blanks in them.
_semundo_reply() {
	local line
	while IFS= read -r line; do
		line=$(printf '%b' "$line")
		[[ $line == "$1"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
	done
}

# Index of the verb's first operand before the cursor, or 0.
_semundo_operand() {
	local i
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-k | -c | -n | -w | -E | -m | -o | -u | --kind | --capacity | --units | --wait | \
			--conflict-exit-code | --mode | --value | --for | --output | --root | \
			--uid | --undo | --library)
			[[ ${COMP_WORDS[1]} == run && ${COMP_WORDS[i]} == -o ]] ||
				[[ ${COMP_WORDS[1]} == ls && ${COMP_WORDS[i]} == -n ]] || ((i++))
			[[ ${COMP_WORDS[i]} == '=' ]] && ((i++))
			;;
		-*) ;;
		*)
			echo "$i"
			return
			;;
		esac
	done
	echo 0
}

_semundo() {
	local program=$1 current=$2 previous=$3 verb=${COMP_WORDS[1]-} operand
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_semundo_reply "$current" < <(_semundo_verbs "$program"; echo --help; echo --version)
		return
	fi
	case $previous in
	-k | --kind)
		_semundo_reply "$current" < <(printf '%s\n' lock permits signal)
		return
		;;
	-u | --undo)
		_semundo_reply "$current" < <(printf '%s\n' binary none)
		return
		;;
	--library)
		return
		;;
	--for)
		_semundo_reply "$current" < <(printf '%s\n' /proc/[0-9]* | sed 's:/proc/::')
		return
		;;
	esac
	operand=$(_semundo_operand)
	if [[ $verb == preload ]] && [[ $current != -* ]]; then
		((operand)) || mapfile -t COMPREPLY < <(compgen -c -- "$current")
		return
	fi
	if [[ $verb == preload ]] && ((operand)); then
		return
	fi
	if [[ $verb == run ]] && ((operand)); then
		if ((COMP_CWORD == operand + 1)) && [[ $current != -* ]]; then
			mapfile -t COMPREPLY < <(compgen -c -- "$current")
			return
		fi
		[[ $current == -* ]] || return
	fi
	if [[ $current == -* ]]; then
		_semundo_reply "$current" < <(_semundo_options "$program" "$verb")
	elif [[ $verb != @(ls|gc|doctor) ]] && { ((operand == 0)) || [[ $verb == @(rm|recover) ]]; }; then
		_semundo_reply "$current" < <(_semundo_names "$program")
	fi
}

complete -o default -F _semundo semundo
